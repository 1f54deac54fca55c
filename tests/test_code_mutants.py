"""Mutation testing itself: of a toy whose tests are known, it says which changes are noticed."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("mutmut", reason="mutmut is not installed")

from tests import code_mutants
from tests.code_mutants import Result, describe_mutant, to_markdown, try_mutants
from tests.paths import ROOT

TOY = """\
def clip(value: int, most: int) -> int:
    while value > most:
        value = value - 1
    return value


def pairs(left: list[int], right: list[int]) -> list[tuple[int, int]]:
    return list(zip(left, right, strict=True))


def forgotten() -> str:
    return "never asked"
"""

TESTS = """\
from toy.toy import clip, pairs


def test_clip() -> None:
    assert [clip(2, 3), clip(5, 3)] == [2, 3]


def test_pairs() -> None:
    assert pairs([1], [2]) == [(1, 2)]
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of one module."""
    project = tmp_path / "project"
    for path, text in {"toy/toy.py": TOY, "tests/test_toy.py": TESTS, "tests/__init__.py": ""}.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    shutil.copy(ROOT / "tests" / "code_mutants.py", project / "tests")
    shutil.copy(ROOT / "pyproject.toml", project)
    for name, value in {
        "ROOT": project,
        "WORK": tmp_path / "work",
        "COPIED": ("toy", "tests", "pyproject.toml"),
    }.items():
        monkeypatch.setattr(code_mutants, name, value)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("toy")
def test_what_is_noticed() -> None:
    """Wrong results, endless loops and errors are; an equal function, and one that no test calls, are not."""
    result = try_mutants("toy", ["tests/test_toy.py"], "toy", None)
    outcomes = Counter(result.outcomes.values())
    assert result.mutants == len(result.outcomes) == sum(outcomes.values())
    assert outcomes["timed out"] >= 1, "value = value + 1"
    assert outcomes["unreached"] == 2, "the text of what no test calls"
    assert outcomes["killed"] >= 3
    survivors = [describe_mutant("toy", name) for name in result.survivors]
    assert any("value - 2" in each for each in survivors), "5 to 3 in one step"
    assert len(survivors) == 3, "strict=True is left out"
    assert try_mutants("toy", ["tests/test_toy.py"], "toy", None) == result, "nothing is tried again"


def test_the_table() -> None:
    """A sample has an interval, and a time-out is a kill."""
    whole = Result("serving/bundle", 4, {"a": "killed", "b": "timed out", "c": "survived", "d": "unreached"})
    sample = Result("serving/batching", 400, {str(at): "survived" if at < 10 else "killed" for at in range(100)})
    assert to_markdown([whole, sample]).splitlines()[2:] == [
        "| `serving/bundle` | 4 | 4 | 2 | 1 | 2 | 50.0 % |",
        "| `serving/batching` | 400 | 100 | 90 | 0 | 10 | 90.0 % (82.4 to 95.1) |",
    ]
