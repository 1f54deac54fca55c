"""CoNLL files: sentences as they are written, whatever their columns; tags of any scheme as BIO tags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from serving.errors import InputError
from tests.paths import SHARED_DATA
from trainer.data.conll import is_conll, read_conll
from trainer.data.table import Table
from trainer.data.tags import ACCEPTED_TAGS, are_types, is_tag, to_bio

WNUT17 = SHARED_DATA / "wnut17"
TYPES = ("person", "creative-work")
WELL_FORMED = {
    "IOB1": ["I-person", "O", "I-person", "I-person", "B-person", "I-person", "I-group"],
    "IOB2": ["B-person", "O", "B-person", "I-person", "B-person", "I-person", "B-group"],
    "BIOES": ["S-person", "O", "B-person", "E-person", "B-person", "E-person", "S-group"],
    "BILOU": ["U-person", "O", "B-person", "L-person", "B-person", "L-person", "U-group"],
}


def read(folder: Path, content: str | bytes, names: Sequence[str] | None = None) -> Table:
    path = folder / "a.conll"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return read_conll(path, names)


def test_sentences(tmp_path: Path) -> None:
    """A sentence ends at a blank line, or one of white space only, or the file's end; its line is its first."""
    found = read(tmp_path, "\nAnna\tB-person\nsmiled\tO\n \t \n\n.\tO")
    assert found.columns == {
        "tokens": [["Anna", "smiled"], ["."]],
        "tags": [["B-person", "O"], ["O"]],
        "line": [2, 6],
    }
    assert len(found) == 2


def test_conll_2003(tmp_path: Path) -> None:
    """Of columns aligned by spaces the first is the token and the last its tag; -DOCSTART- ends a sentence."""
    found = read(tmp_path, "-DOCSTART- -X- -X- O\n\nEU   NNP B-NP  B-ORG\n-DOCSTART- -X- -X- O\n. . O O\n")
    assert found.columns == {"tokens": [["EU"], ["."]], "tags": [["B-ORG"], ["O"]], "line": [3, 5]}


def test_column_names(tmp_path: Path) -> None:
    """column_names say which columns the token and its tag are, and keep the others beside them."""
    content = "#\thttp://de.example/Korfmann [2009-10-17]\n1\tManfred\tB-PER\tO\n2\tlebt\tO\tO\n"
    found = read(tmp_path, content, ["index", "tokens", "tags", "nested"])
    assert found.columns == {
        "index": [["1", "2"]],
        "tokens": [["Manfred", "lebt"]],
        "tags": [["B-PER", "O"]],
        "nested": [["O", "O"]],
        "line": [2],
    }


def test_file_of_another_system(tmp_path: Path) -> None:
    """A byte order mark, Windows line ends and a separator at the end of lines are no part of the data."""
    found = read(tmp_path, b"\xef\xbb\xbfAnna\tB-person\t\r\nsmiled\tO\t\r\n\r\n")
    assert found.columns == {"tokens": [["Anna", "smiled"]], "tags": [["B-person", "O"]], "line": [1]}


ODD_SPACES = ["10\u00a0km", "a\u3000b", "\u2028", "x\u0085y", "New York", " ", "\u200b", "日本", "🙂"]


def test_unicode_spaces(tmp_path: Path) -> None:
    """Only ASCII spaces separate columns, and only in a line without a tab."""
    found = read(tmp_path, "".join(f"{token}\tO\n" for token in ODD_SPACES))
    assert found.columns["tokens"] == [ODD_SPACES]
    assert read(tmp_path, "10\u00a0km O\n\u2028 O\n").columns["tokens"] == [["10\u00a0km", "\u2028"]]


def test_comments(tmp_path: Path) -> None:
    """A line that begins with # is a comment where it ends in no tag, and a token where it does."""
    found = read(tmp_path, "# sent_id = 1\n# text\nGo O\n# O\n#now B-product\n# two\n#\tO\n")
    assert found.columns["tokens"] == [["Go", "#", "#now", "#"]]


def test_all_wrong_widths_together(tmp_path: Path) -> None:
    """Every line of another width is told, as its sentence's problem; the other sentences are read."""
    found = read(tmp_path, "a\tO\nb\n\nc\tO\td\n\ne\tO\n")
    told = found.problems.message("a.conll")
    assert "line 2: has 1 column" in told
    assert "line 4: has 3 columns" in told
    assert found.usable() == [2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "a.conll: is empty; give a token and its tag a line"),
        ("\n# only a comment\n\n", "a.conll: is empty"),
        ("a\tO\nb\n", "a.conll, line 2: has 1 column, and 2 are needed;"),
        ("a\tO\n\nb\tNN\tO\n", "a.conll, line 3: has 3 columns, and 2 are needed;"),
        ("a\n", "a.conll, line 1: has 1 column, and 2 are needed;"),
        ("a\tO\n#hashtag\n", "a.conll, line 2: has 1 column"),
        ("a\tO\n#\tX-group\n", "a.conll, line 2: 'X-group' is no tag"),
        ("a\tO\n# b O\n", "a.conll, line 2: has 3 columns"),
        (
            "a\tB-x\nb\tperson\n",
            "a.conll, line 2: 'person' is no tag; accepted are O, and B-, I-, E-, S-, L-, U- or M-",
        ),
        ("token\ttag\na\tO\n", "a.conll, line 1: 'tag' is no tag"),
        ("a\tB-\n", "a.conll, line 1: 'B-' is no tag"),
        ("\tO\n", "a.conll, line 1: has no token"),
        ("1\ta\tO\tO\n2\tb\tO\tO\n\n1\tc\tO\tO\n", "a.conll: the first column counts the tokens of each sentence"),
        (b"ok\tO\ncaf\xe9\tO\n", "a.conll, line 2: not UTF-8 (byte 8 of the file is 0xe9)"),
    ],
)
def test_unreadable(tmp_path: Path, content: str | bytes, expected: str) -> None:
    """What cannot be read is named by file and line; nothing is dropped in silence."""
    try:
        problems = read(tmp_path, content).problems.message("a.conll")
    except InputError as error:
        problems = str(error)
    assert expected in problems


def test_all_wrong_lines_together(tmp_path: Path) -> None:
    """Every sentence with a wrong line is a row's problem, so that all are told at once."""
    found = read(tmp_path, "a\tB-x\n\nb\tperson\n\n\tO\n\nc\tO\n")
    assert found.problems.message("a.conll").split("\n")[1:] == [
        f"  line 3: 'person' is no tag; accepted are {ACCEPTED_TAGS}",
        "  line 5: has no token before its first tab",
    ]
    assert found.usable() == [0, 3]


def test_universal_columns(tmp_path: Path) -> None:
    """Of CoNLL-U's kind, where the first column counts the words, the only column of tags is found; a group's line is
    left out."""
    content = "# sent_id = 1\n1-2\tdel\t_\t-\n1\tde\tO\t-\n2\tel\tO\t-\n3\tRío\tB-LOC\t-\n"
    found = read(tmp_path, content)
    assert found.columns == {"tokens": [["de", "el", "Río"]], "tags": [["O", "O", "B-LOC"]], "line": [3]}
    assert found.notes == ["column 1 counts the tokens; 2 is read as the token, 3 as its tag"]


def test_types_without_prefixes(tmp_path: Path) -> None:
    """Types alone are read where no tag says where an entity begins; a heading is no type."""
    tags = read(tmp_path, "Ada\tperson\nK\tperson\nsmiled\tO\n").columns["tags"][0]
    assert are_types(tags)
    assert to_bio(tags, types=True) == ["B-person", "I-person", "O"]
    wrong = (["NOUN", "VERB"], ["O"], ["O", "b-per"], ["O", "B_PER"], ["O", "PER-B"], ["O", "1"], ["O", "B-x", "y"])
    assert not any(map(are_types, [*wrong, ["O", "tag"]]))


def test_conll_is_told_from_a_table() -> None:
    """Text whose every line ends in a tag is CoNLL; a table has a heading."""
    assert is_conll("-DOCSTART- -X- O\n\nEU NNP B-ORG\n. . O\n")
    assert not any(map(is_conll, ("text\tlabel\na\tO\n", "O\nO\n", "")))


@pytest.mark.parametrize(
    "names", [["tokens"], ["tokens", "tags", "tags"], ["tokens", "line", "tags"], ["text", "label"]]
)
def test_wrong_column_names(tmp_path: Path, names: list[str]) -> None:
    """column_names without token or tag, with one twice, or with the table's own "line" are refused."""
    with pytest.raises(
        InputError, match=r"a\.conll: data\.column_names are .*'tokens' and 'tags' among them"
    ) as caught:
        read(tmp_path, "a\tO\tO\n", names)
    assert caught.value.field == "data.column_names"


def test_too_few_columns_for_the_names(tmp_path: Path) -> None:
    """A file with fewer columns than names is refused at its first line."""
    with pytest.raises(InputError, match="line 1: has 2 columns, and 3 are needed"):
        read(tmp_path, "a\tO\n", ["tokens", "pos", "tags"])


@pytest.mark.parametrize("scheme", WELL_FORMED)
def test_schemes(scheme: str) -> None:
    """The same entities in each scheme are the same BIO tags."""
    assert to_bio(WELL_FORMED[scheme]) == WELL_FORMED["IOB2"]


def test_bmes() -> None:
    """M- continues an entity, as in Chinese corpora."""
    assert to_bio(["B-NAME", "M-NAME", "E-NAME", "S-NAME"]) == ["B-NAME", "I-NAME", "I-NAME", "B-NAME"]


@given(st.lists(st.one_of(st.just("O"), st.builds("{}-{}".format, st.sampled_from("BIES"), st.sampled_from(TYPES)))))
@settings(deadline=None)
def test_ill_formed_tags(tags: list[str]) -> None:
    """Any sequence of tags has the BIO tags of the entities that seqeval finds in it."""
    bio = to_bio(tags)
    assert get_entities(bio) == get_entities(tags)
    assert to_bio(bio) == to_bio([tag.replace("E-", "L-").replace("S-", "U-") for tag in tags]) == bio
    assert all(tag[0] != "I" or before[2:] == tag[2:] for before, tag in zip(["O", *bio], bio, strict=False))


def test_invalid_tag() -> None:
    """An invalid tag is named by its place."""
    assert not any(map(is_tag, ("", "o", "B", "X-person", "B-", "B-a b", "O-person", "B-x\n")))
    with pytest.raises(InputError, match=r"tags\[1\]: 'B' is no tag; accepted are O, and B-") as caught:
        to_bio(["O", "B"])
    assert caught.value.field == "tags[1]"


@pytest.mark.parametrize(
    ("split", "sentences", "tokens"), [("train", 3394, 62730), ("dev", 1009, 15733), ("test", 1287, 23394)]
)
def test_wnut17(split: str, sentences: int, tokens: int) -> None:
    """A public corpus of tweets, hashtags first on their lines, is read token for token."""
    if not WNUT17.is_dir():
        pytest.skip("the public data sets are not beside the checkout (../shared/data)")
    columns = read_conll(WNUT17 / f"{split}.conll").columns
    assert len(columns["tokens"]) == sentences
    assert sum(map(len, columns["tokens"])) == tokens
    assert all(to_bio(tags) == tags for tags in columns["tags"])
    lines = (WNUT17 / f"{split}.conll").read_text(encoding="utf-8").split("\n")
    assert [lines[at - 1].split("\t")[0] for at in columns["line"]] == [first for first, *_ in columns["tokens"]]
