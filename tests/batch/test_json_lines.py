"""`tuneship predict`: one line out for each line in, in order, and no target before the end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Encoding

from batch.answers import Tally
from batch.rows import ROWS_AT_ONCE
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.inference.predictor import Predictor
from serving.tasks.base import Logits
from tests.batch.predicting import predict_file

Score = Callable[..., tuple[Tally, list[dict[str, Any]]]]


@pytest.fixture
def score(predictor: Predictor, tmp_path: Path) -> Score:
    """Answers lines; returns the tally and the lines of the target."""

    def score_lines(*lines: bytes | dict[str, Any], **options: Any) -> tuple[Tally, list[dict[str, Any]]]:
        source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
        source.write_bytes(b"".join(each if isinstance(each, bytes) else line(each) for each in lines))
        tally = predict_file(predictor, source, target, **options)
        return tally, [json.loads(each) for each in target.read_bytes().splitlines()]

    return score_lines


def line(content: dict[str, Any]) -> bytes:
    """A line of JSON."""
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


@pytest.mark.slow
def test_order(score: Score, predictor: Predictor, texts: list[str]) -> None:
    """Each line gives one line with the predictor's answer, in order, across chunks too."""
    many = (texts * (2 * ROWS_AT_ONCE // len(texts) + 1))[: 2 * ROWS_AT_ONCE + 3]
    tally, rows = score(*({"inputs": text, "id": number} for number, text in enumerate(many)))
    assert (tally.answered, tally.refused, tally.first_refusal) == (len(many), 0, "")
    assert [row["id"] for row in rows] == [*range(len(many))]
    assert [row["inputs"] for row in rows] == many
    best = {text: predictor.predict([text])[0][0]["label"] for text in set(many)}
    assert [row["outputs"][0]["label"] for row in rows] == [best[text] for text in many]


def test_byte_order_mark(score: Score) -> None:
    """As Windows' tools write it, and as joined files have it."""
    mark = b"\xef\xbb\xbf"
    tally, _ = score(mark + line({"inputs": "a"}), mark + line({"inputs": "b"}))
    assert (tally.answered, tally.refused) == (2, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            line({"inputs": "a"}).decode().encode("utf-16"),
            "is UTF-16; --input takes UTF-8. Convert it: iconv",
        ),
        (line({"inputs": "a"}).decode().encode("utf-16-le"), "is UTF-16; --input takes UTF-8"),
        (b"\x1f\x8b\x08\0", "cannot be unpacked: .*; pack it again with gzip"),
    ],
)
def test_whole_files_of_another_kind(score: Score, tmp_path: Path, content: bytes, message: str) -> None:
    """They are refused at once, and nothing is written."""
    with pytest.raises(InputError, match=message):
        score(content)
    assert not (tmp_path / "out.jsonl").exists()


def test_line(score: Score, predictor: Predictor) -> None:
    """A line keeps its keys in their order, and gets every label with its score."""
    _, (row,) = score({"id": 7, "inputs": "track order 17", "note": {"é": [1, None]}})
    assert list(row) == ["id", "inputs", "note", "outputs"]
    assert row["note"] == {"é": [1, None]}
    assert row["outputs"] == predictor.predict(["track order 17"])[0]


def test_readable(score: Score, tmp_path: Path) -> None:
    """Text outside ASCII is not escaped."""
    score({"inputs": "我的卡 é 👍🏽"})
    assert "我的卡 é 👍🏽" in (tmp_path / "out.jsonl").read_text(encoding="utf-8")


def test_line_separators(score: Score) -> None:
    """Only a line feed ends a line; a text may contain Unicode's other separators."""
    text = "a\u2028b\u2029c\x85d\x0be\x1cf"
    tally, _ = score({"inputs": text}, {"inputs": "stop"})
    assert tally.answered == 2


@pytest.mark.parametrize(
    ("bad", "inputs", "reason"),
    [
        (b"not json\n", None, "not a line of JSON in UTF-8"),
        (b'{"inputs": "cut off\n', None, "not a line of JSON in UTF-8"),
        (b'{"inputs": "caf\xe9"}\n', None, "not a line of JSON in UTF-8"),
        (b"\xff\xfe\x00\x01\n", None, "not a line of JSON in UTF-8"),
        (b"[" * 100_000 + b"\n", None, "not a line of JSON in UTF-8"),
        (b'{"inputs": ' + b"9" * 5000 + b"}\n", None, "not a line of JSON in UTF-8"),
        (b'{"inputs": "stop", "id": NaN}\n', None, "not a line of JSON in UTF-8: NaN is no number of JSON"),
        (b'{"inputs": "stop", "id": [-Infinity]}\n', None, "not a line of JSON in UTF-8: -Infinity is no number"),
        (b'{"inputs": "stop", "id": 1e999}\n', None, "not a line of JSON in UTF-8: 1e999 is too large a number"),
        (b'"text"\n', None, "no `inputs`"),
        (b"[]\n", None, "no `inputs`"),
        (b"null\n", None, "no `inputs`"),
        (b'{"text": "a"}\n', None, "no `inputs`"),
        (b'{"inputs": ""}\n', "", "inputs is empty"),
        (b'{"inputs": " \\n"}\n', " \n", "inputs is empty"),
        (b'{"inputs": null}\n', None, "inputs must be a text, found null"),
        (b'{"inputs": ["a"]}\n', ["a"], "inputs must be a text, found a list"),
        (b'{"inputs": "\\ud800 alone"}\n', "\ud800 alone", "inputs holds a lone surrogate"),
        (
            b'{"inputs": "' + b"x" * 10_000_000 + b'"}\n',
            "x" * 1000 + "…",
            "inputs has 10,000,000 characters; at most 100,000 are accepted",
        ),
    ],
    ids=range(19),
)
def test_bad_line(score: Score, bad: bytes, inputs: Any, reason: str) -> None:
    """An invalid line gets an error with its number and the reason; the other lines are answered."""
    tally, rows = score({"inputs": "stop"}, bad, {"inputs": "refund it"})
    assert (tally.answered, tally.refused) == (2, 1)
    assert ["outputs" in row for row in rows] == [True, False, True]
    assert rows[1]["inputs"] == inputs
    assert rows[1]["error"].startswith(f"row 2: {reason}")
    assert tally.first_refusal == rows[1]["error"]


def test_bad_line_keeps_its_keys(score: Score) -> None:
    """A refused line keeps its keys."""
    _, rows = score({"id": 7, "inputs": ""}, {"id": 8, "text": "a"})
    assert [(row["id"], row["inputs"]) for row in rows] == [(7, ""), (8, None)]
    assert all("error" in row for row in rows)


def test_answers_of_before(score: Score) -> None:
    """An answer, error or mark that a line brings is replaced, so that answered lines can be asked again."""
    old = {"outputs": "old", "error": "old", "truncated": "old"}
    _, rows = score({"inputs": "stop", **old}, {"inputs": "", **old})
    assert [list(row) for row in rows] == [["inputs", "outputs"], ["inputs", "error"]]
    assert all(value != "old" for row in rows for value in row.values())


@pytest.mark.slow
def test_nested_keys(score: Score) -> None:
    """A deeply nested line fails at most by itself."""
    nested = [b'{"inputs": "stop", "extra": ' + b"[" * depth + b"]" * depth + b"}\n" for depth in range(700, 1010)]
    tally, rows = score(*nested)
    assert len(rows) == tally.answered + tally.refused == len(nested)
    assert tally.answered
    assert tally.refused


def test_first_refusal(score: Score) -> None:
    """The tally keeps the first reason; the lines have them all."""
    tally, rows = score(b"x\n", {"inputs": ""}, {"inputs": "stop"}, b"y\n")
    assert (tally.answered, tally.refused) == (1, 3)
    assert tally.first_refusal.startswith("row 1: not a line of JSON")
    assert [row.get("error", "")[:6] for row in rows] == ["row 1:", "row 2:", "", "row 4:"]


@pytest.mark.parametrize("extra", [b"\n", b"   \n", b"\r\n", b"\t\n\n\n"])
def test_blank_lines(score: Score, extra: bytes) -> None:
    """Blank lines are skipped but counted in a row's number."""
    _, rows = score(extra, {"inputs": ""}, extra, {"inputs": "stop"}, extra)
    assert len(rows) == 2
    assert rows[0]["error"].startswith(f"row {1 + extra.count(bytes([10]))}: ")


def test_no_newline_at_the_end(score: Score) -> None:
    """The last line needs no line feed, and lines may end with CRLF."""
    tally, _ = score(b'{"inputs": "stop"}\r\n', b'{"inputs": "refund it"}')
    assert tally.answered == 2


def test_progress(score: Score) -> None:
    """Progress adds up to the rows of the file."""
    told: list[int] = []
    score(*({"inputs": f"text {number}"} for number in range(ROWS_AT_ONCE + 1)), on_progress=told.append)
    assert told == [ROWS_AT_ONCE, 1]


class Failing(Predictor):
    """A predictor that fails at its second call."""

    calls = 0

    def run(self, windows: Sequence[Encoding]) -> list[Logits]:
        """The real logits once."""
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("no memory")
        return super().run(windows)


@pytest.mark.parametrize("before", [None, "older answers"])
def test_interrupted(tiny_bundle: Path, tmp_path: Path, before: str | None) -> None:
    """After a failure the target is unchanged, and no partial file is left."""
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(line({"inputs": "stop"}) * (ROWS_AT_ONCE + 1))
    if before:
        target.write_text(before)
    with pytest.raises(RuntimeError, match="no memory"):
        predict_file(Failing(Bundle.open(tiny_bundle)), source, target)
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl"} | ({"out.jsonl"} if before else set())
    assert not before or target.read_text() == before


def test_target_appears_at_the_end(predictor: Predictor, tmp_path: Path) -> None:
    """The target appears at the end; an older one stays until then."""
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(line({"inputs": "stop"}) * (ROWS_AT_ONCE + 1))
    seen: list[bool] = []
    predict_file(predictor, source, target, lambda _: seen.append(target.exists()))
    assert seen == [False, False]
    target.write_text("older")
    with target.open() as reader:
        predict_file(predictor, source, target, lambda _: seen.append(target.read_text() == "older"))
        assert seen[2:] == [True, True]
        assert reader.read() == "older", "the old file was written into, not replaced"
    assert len(target.read_text().splitlines()) == ROWS_AT_ONCE + 1


def test_missing_source(predictor: Predictor, tmp_path: Path) -> None:
    """A missing source is an error that says what it should contain."""
    with pytest.raises(InputError, match=r"there is no file .*in\.jsonl; --input takes JSON lines such as"):
        predict_file(predictor, tmp_path / "in.jsonl", tmp_path / "out.jsonl")


def test_empty_source(predictor: Predictor, tmp_path: Path) -> None:
    """An empty source is an error, and no target is written."""
    (tmp_path / "in.jsonl").touch()
    with pytest.raises(InputError, match=r"in\.jsonl is empty; it needs a line such as"):
        predict_file(predictor, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "holds the --input .*in.jsonl; choose another folder"),
        ("absent/out.jsonl", "cannot be written: --output takes a regular file in a folder that exists"),
        ("absent/out/", "cannot be written: --output takes a folder that exists, or a new one in a folder that exists"),
        ("in.jsonl/", "is a file; --output takes a folder"),
    ],
)
def test_bad_target(predictor: Predictor, tmp_path: Path, name: str, message: str) -> None:
    """A target that holds something else, or is in a missing folder, is an error before any prediction."""
    (tmp_path / "in.jsonl").write_bytes(line({"inputs": "stop"}))
    with pytest.raises(InputError, match=message):
        predict_file(predictor, tmp_path / "in.jsonl", f"{tmp_path}/{name}")


def test_pipe(predictor: Predictor, tmp_path: Path) -> None:
    """A pipe or a device is never replaced by a file, not even by way of a link."""
    source, link = tmp_path / "in.jsonl", tmp_path / "link.jsonl"
    source.write_bytes(line({"inputs": "stop"}))
    os.mkfifo(tmp_path / "pipe")
    link.symlink_to(tmp_path / "pipe")
    for target in (tmp_path / "pipe", link):
        with pytest.raises(InputError, match="cannot be written: --output takes a regular file"):
            predict_file(predictor, source, target)
    assert (tmp_path / "pipe").is_fifo()
    assert link.is_symlink()


def test_planted_part(predictor: Predictor, tmp_path: Path) -> None:
    """No file beside the target is written into, whatever it is named."""
    source, victim = tmp_path / "in.jsonl", tmp_path / "victim"
    source.write_bytes(line({"inputs": "stop"}))
    victim.write_text("mine")
    (tmp_path / "out.jsonl.part").symlink_to(victim)
    predict_file(predictor, source, tmp_path / "out.jsonl")
    assert victim.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "victim", "out.jsonl.part", "out.jsonl"}


@pytest.mark.parametrize("kind", ["same", "link", "hard link"])
def test_same_file(predictor: Predictor, tmp_path: Path, kind: str) -> None:
    """The source is never overwritten, whatever path it is given by."""
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(line({"inputs": "stop"}))
    if kind == "same":
        target = source
    elif kind == "link":
        target.symlink_to(source)
    elif kind == "hard link":
        target.hardlink_to(source)
    with pytest.raises(InputError, match=r"would overwrite the --input .*; choose another --output"):
        predict_file(predictor, source, target)
    assert source.read_bytes() == line({"inputs": "stop"})
