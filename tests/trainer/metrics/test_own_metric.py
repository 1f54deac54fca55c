"""A metric of the user's own: the same test as Tuneship's metrics, and errors that name it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.proof.statistics.metric_change import LostRowTest
from serving.errors import InputError
from tests.extending import work_in, write_local
from trainer.metrics.bootstrap import value_of
from trainer.metrics.own_metric import OwnMetric, distinct
from trainer.metrics.resampling import f1_of, indicators, pearson_of

LABELS = ("a", "b", "c")
MACRO_F1 = """
from sklearn.metrics import f1_score

def mine(expected, answered, weights):
    return f1_score(expected, answered, average="macro", sample_weight=weights, zero_division=0)
"""
PEARSON = """
import numpy

def mine(expected, answered, weights):
    return numpy.cov(expected, answered, aweights=weights)[0, 1] / numpy.sqrt(
        numpy.cov(expected, aweights=weights) * numpy.cov(answered, aweights=weights))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    return work_in(monkeypatch, tmp_path)


def metric_of(folder: Path, source: str) -> OwnMetric:
    """The metric ``mine`` of a module."""
    write_local(folder, source, metrics="mine")
    return OwnMetric.open("mine")


def answers(seed: int, rows: int = 120, wrong: float = 0.2) -> tuple[list[str], list[str]]:
    """Expected labels, and given ones of which a share is wrong."""
    generator = np.random.default_rng(seed)
    expected = generator.choice(LABELS, rows)
    given = np.where(generator.random(rows) < wrong, generator.choice(LABELS, rows), expected)
    return expected.tolist(), given.tolist()


def built_in(expected: list[str], given: list[str]) -> object:
    """Tuneship's macro-F1 of the same answers."""
    sides = [indicators([[label] for label in side], LABELS) for side in (expected, given)]
    return f1_of(sides[0] * sides[1], sides[1], sides[0], "macro")


def test_of_weighted_rows(folder: Path) -> None:
    """The same function as one of Tuneship's own has its values under any weights."""
    expected, given = answers(0)
    own, known = metric_of(folder, MACRO_F1).of(expected, given), built_in(expected, given)
    weights = np.random.default_rng(1).standard_exponential((20, len(expected)))
    assert own(weights) == pytest.approx(known(weights))  # type: ignore[operator]
    assert own.rows == len(expected)


@pytest.mark.slow
def test_the_proofs_bound(folder: Path) -> None:
    """The drop of such a metric has about the bound that it has as Tuneship's own, which knows its costliest row."""
    expected, before = answers(0)
    after = [*before[:-2], *("a" if label != "a" else "b" for label in before[-2:])]
    metric, counts = metric_of(folder, MACRO_F1), np.ones(len(expected))
    (low, high), _ = LostRowTest(metric.of(expected, before), metric.of(expected, after), counts).intervals(0.05, 0.1)
    sides = built_in(expected, before), built_in(expected, after)
    (known_low, known_high), _ = LostRowTest(*sides, counts).intervals(0.05, 0.1)  # type: ignore[arg-type]
    assert low == pytest.approx(known_low, abs=0.01)
    assert high == pytest.approx(known_high, abs=0.01)
    assert low < value_of(sides[1]) - value_of(sides[0]) < high  # type: ignore[arg-type]


def test_of_numbers(folder: Path) -> None:
    """A lost row of numbers is answered at a far end."""
    generator = np.random.default_rng(0)
    expected = generator.normal(size=60).tolist()
    given = (np.array(expected) + generator.normal(size=60) / 3).tolist()
    own, known = metric_of(folder, PEARSON).of(expected, given), pearson_of(expected, given)
    counts = np.ones(60)
    weights = np.append(counts, 1.0)[None]
    losses = [side[0](weights)[0] - side[1](weights)[0] for side in (
        own.with_lost_row(own, counts), known.with_lost_row(known, counts))]  # fmt: skip
    assert 0.5 * losses[1] < losses[0] <= losses[1] * 1.05


def test_answers_that_are_all_one(folder: Path) -> None:
    """Where no other answer is known, the lost row costs nothing, rather than raising an error."""
    own = metric_of(folder, MACRO_F1).of(["a"] * 5, ["a"] * 5)
    before, after = own.with_lost_row(own, np.ones(5))
    assert value_of(before) == value_of(after) == 1


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def mine(expected, answered): return 1.0", "failed on 2 rows: TypeError"),
        ("def mine(*_): raise KeyError('a')", "failed on 2 rows: KeyError"),
        ("def mine(*_): return float('nan')", "gave nan for 2 rows; a finite number is needed"),
        ("mine = 3", "is no function"),
    ],
)
def test_a_function_that_fails(folder: Path, source: str, problem: str) -> None:
    """The message has the metric's name, and what its code said."""
    with pytest.raises(InputError, match=rf"metrics\.mine of tuneship\.toml .*{problem}"):
        value_of(metric_of(folder, source).of(["a", "b"], ["a", "a"]))


def test_candidates() -> None:
    """The most frequent answers; of numbers some of all sizes, both ends among them; of lists each once."""
    assert distinct(["b", "a", "b", "c", "b", "a"], 2) == ["b", "a"]
    found = distinct(list(range(1000)), 8)
    assert (found[0], found[-1], len(found)) == (0, 999, 8)
    assert distinct([["a"], ["b", "a"], ["a"]]) == [["a"], ["b", "a"]]
