"""SQuAD JSON: one row a question, each answer where the file says it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from tests.paths import SHARED_DATA
from trainer.data.squad import is_squad, read_squad
from trainer.data.table import Table

XQUAD = SHARED_DATA / "xquad"
CONTEXT = "🙂 Zürich liegt am See, Zürich ist groß. 苏黎世 is its name in Chinese."


def question(*answers: tuple[Any, Any], **fields: Any) -> dict[str, Any]:
    listed = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": "q1", "question": "Where?", "answers": listed, **fields}


def article(*questions: Any, context: Any = CONTEXT, **fields: Any) -> dict[str, Any]:
    return {"title": "Zürich", "paragraphs": [{"context": context, "qas": list(questions)}], **fields}


def read(folder: Path, content: Any) -> Table:
    path = folder / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode("utf-8"))
    return read_squad(path)


def refusal(folder: Path, content: Any) -> InputError:
    try:
        problems = read(folder, content).problems
    except InputError as error:
        return error
    assert problems
    return InputError(problems.message("a.json"))


def test_questions(tmp_path: Path) -> None:
    """Each question is a row with its article's title and paragraph's context; what else the file holds is left."""
    asked = question(("Zürich", 2), ("苏黎世", 40), is_impossible=False)
    unanswered = question(id=7, is_impossible=True, plausible_answers=[{"text": "See", "answer_start": 18}])
    content = {"version": "v2.0", "data": [article(asked), article(unanswered, title=None)]}
    assert read(tmp_path, content).columns == {
        "id": ["q1", "7"],
        "title": ["Zürich", ""],
        "question": ["Where?", "Where?"],
        "context": [CONTEXT, CONTEXT],
        "answers": [[{"text": "Zürich", "answer_start": 2}, {"text": "苏黎世", "answer_start": 40}], []],
    }


def without(part: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != field}


Q = "article 1 ('Zürich'), paragraph 1, question 1 ('q1')"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([article(), without(article(), "paragraphs")], "article 2 ('Zürich'): paragraphs is missing"),
        ([article(), "x"], "a.json, the file: data[1] is a text; an object is accepted"),
        ([article(paragraphs={})], "article 1 ('Zürich'): paragraphs is an object; a list is accepted"),
        ([article(paragraphs=[{"qas": []}])], "paragraph 1: context is missing; text is accepted"),
        ([article(context=" ")], "paragraph 1: context is empty"),
        ([article(context="a\ud83d")], "paragraph 1: context holds half of a surrogate pair"),
        ([article(context=3)], "paragraph 1: context is a number; text is accepted"),
        ([article(None)], "paragraph 1: qas[0] is null; an object is accepted"),
        ([article(title=["x"])], "article 1 (\"['x']\"): title is a list; text is accepted"),
        ([article(without(question(), "question"))], f"{Q}: question is missing"),
        ([article(without(question(), "id"))], "paragraph 1, question 1: id is missing"),
        ([article(without(question(), "answers"), question())], f"{Q}: answers is missing; a list is accepted"),
        ([article(question(id=True))], "id is a boolean; text is accepted"),
        ([article(question(answers=["See"]))], f"{Q}: answers[0] is a text; an object is accepted"),
        ([article(question(("See", "18")))], "is a text; a whole number is accepted"),
        ([article(question(("See", 18.0)))], "is a number; a whole number is accepted"),
        ([article(question(("See", True)))], "is a boolean; a whole number is accepted"),
        ([article(question((None, 18)))], f"{Q}: answers[0].text is null; text is accepted"),
        ([article(question(("", 18)))], "is empty; a question that the context does not answer has"),
        ([article(question(("See", 18), is_impossible=True))], "is true, yet there are answers"),
    ],
)
def test_malformed(tmp_path: Path, data: list[Any], expected: str) -> None:
    """What is missing or of the wrong kind is named by file, place and field."""
    error = refusal(tmp_path, {"data": data})
    assert str(error).startswith("a.json")
    assert expected in str(error)


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("Zürich", 3, "is 3, where the context has 'ürich '; the text 'Zürich' is at 2"),
        ("Zürich", 21, "is 21, where the context has ', Züri'; the text 'Zürich' is at 23"),
        ("Bern", 3, "is 3, where the context has 'üric'; the text 'Bern' is nowhere in it"),
        ("Chinese.", 60, "where the context has 'hinese.'; the text 'Chinese.' is at 59; offsets count Unicode code"
         " points, and this one seems to count UTF-16 units"),
        ("苏黎世", 46, "the text '苏黎世' is at 40; offsets count Unicode code points, and this one seems to count"
         " UTF-8 bytes"),
        ("Chinese.", 71, "is 71, but the context ends at 66; the text 'Chinese.' is at 59; offsets count"),
        ("Zürich", -1, "is -1, but the context ends at 66; the text 'Zürich' is at 2"),
        ("Chinese.!", 59, "is 59, where the context has 'Chinese.'; the text 'Chinese.!' is nowhere in it"),
    ],
)  # fmt: skip
def test_misplaced_answer(tmp_path: Path, text: str, start: int, expected: str) -> None:
    """A wrong answer_start is reported with the text that is there and the answer's nearest place."""
    error = refusal(tmp_path, {"data": [article(question(("See", 18), (text, start)))]})
    assert str(error).startswith(f"a.json, {Q}: answers[1].answer_start ")
    assert expected in str(error)


def test_misplaced_in_a_long_context(tmp_path: Path) -> None:
    """The search for the nearest place stays quick where there are many, and the message short."""
    error = refusal(tmp_path, {"data": [article(question(("ab" * 100, 200_001)), context="ab" * 200_000)]})
    assert f"the text '{'ab' * 30}…' is at 200000" in str(error)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"data": [\n{"paragraphs": ]}', "a.json, line 2: not valid JSON (Expecting value)"),
        (b"[" * 100_000, "a.json: not valid JSON (nested too deeply"),
        (b'{"data": ' + b"1" * 5000 + b"}", "a.json: not valid JSON (nested too deeply, or a number of thousands of"),
        (b'{"data": "\xff"}', "a.json, line 1: not UTF-8"),
        (b'{"text": "a"}', 'a.json: is no SQuAD file; give {"data": [{"paragraphs": [{"context": '),
        (b'{"data": []}', "a.json: has no question"),
        (b'{"data": [{"paragraphs": []}]}', "a.json: has no question"),
    ],
)
def test_unreadable(tmp_path: Path, content: bytes, expected: str) -> None:
    """A file that is not SQuAD's, or is empty, is refused by name."""
    assert expected in str(refusal(tmp_path, content))


def test_articles_or_paragraphs_alone(tmp_path: Path) -> None:
    """A list of articles, or of paragraphs, is read as the file that it is cut out of."""
    expected = read(tmp_path, {"data": [article(question(("See", 18)))]}).columns["question"]
    assert read(tmp_path, [article(question(("See", 18)))]).columns["question"] == expected
    assert read(tmp_path, article(question(("See", 18)))["paragraphs"]).columns["question"] == expected


def test_questions_alone(tmp_path: Path) -> None:
    """A file whose questions have no answers has no column of them."""
    assert "answers" not in read(tmp_path, {"data": [article(without(question(), "answers"))]}).columns


def test_recognised_among_json_files() -> None:
    """SQuAD is recognised by its articles, not by a field called data."""
    assert is_squad({"data": [article()]})
    assert is_squad({"version": "v2.0", "data": [{"title": "no paragraphs"}, article()]})
    for other in ({"text": "a"}, {"data": "a"}, {"data": [1, 2]}, {"data": [{"text": "a"}]}, {"data": None}, [], "a"):
        assert not is_squad(other)


def test_all_problems_together(tmp_path: Path) -> None:
    """Everything that is wrong in a file is told at once, by article, paragraph and question; the rest can be used."""
    broken = question(("Zürich", 4), ("See", 17), id="q2")
    content = {"data": [article(question(("See", 18)), broken), article(context=" "), article(question(id="q3"))]}
    table = read(tmp_path, content)
    assert table.usable() == [0, 3]
    assert table.problems.message("a.json").split("\n") == [
        "a.json: 2 rows cannot be used",
        "  article 1 ('Zürich'), paragraph 1, question 2 ('q2'): answers[0].answer_start is 4, where the context has"
        " 'rich l'; the text 'Zürich' is at 2; answers[1].answer_start is 17, where the context has ' Se'; the text"
        " 'See' is at 18",
        "  article 2 ('Zürich'), paragraph 1: context is empty",
    ]


def test_answers_without_a_place(tmp_path: Path) -> None:
    """An answer that is in the context once needs no answer_start; of one that is there more often it is missed."""
    placeless = [{"id": at, "question": "?", "answers": [{"text": text}]} for at, text in enumerate(("See", "Zürich"))]
    table = read(tmp_path, {"data": [article(*placeless)]})
    assert table.columns["answers"][0] == [{"text": "See", "answer_start": 18}]
    assert table.notes == ["1 questions have answers without answer_start, each found once in its context"]
    assert "question 2 ('1'): answers[0].answer_start is missing; a whole number" in table.problems.message("a.json")


@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_xquad(language: str) -> None:
    """A public data set is read whole, every answer at its place."""
    if not XQUAD.is_dir():
        pytest.skip("the public data sets are not beside the checkout (../shared/data)")
    columns = read_squad(XQUAD / f"{language}.json").columns
    assert len(set(columns["id"])) == len(columns["id"]) == 1190
    assert len(set(columns["title"])) == 48
    for context, answers in zip(columns["context"], columns["answers"], strict=True):
        assert answers
        assert all(context[at["answer_start"] :][: len(at["text"])] == at["text"] for at in answers)
