"""Other batches and more padding, from figures alone: which items are taken, and how their changes are counted."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from export.proof.answers.threads import map_in_threads
from export.proof.checks import sampling
from export.proof.checks.invariance import (
    GROUP,
    PROMPTS,
    RERUN,
    _compare_padded,
    _ItemsAlone,
    _mixed_groups,
    _summarize,
)
from export.proof.checks.sampling import MAX_SCORE_CHANGE, measure_sampling
from serving.tasks.generation import Generated, Generation


class Alone(SimpleNamespace):
    """Items of given numbers of tokens, in one window each."""

    def __init__(
        self, tokens: list[int], longest: int = 64, independent: bool = True, generating: bool = False
    ) -> None:
        graph = SimpleNamespace(row_independent=independent)
        manifest = SimpleNamespace(graph=graph, tokenizer=SimpleNamespace(max_length=longest))
        super().__init__(
            places=list(range(len(tokens))),
            tokens=tokens.__getitem__,
            longest_window=tokens.__getitem__,
            predictor=SimpleNamespace(manifest=manifest),
            generating=generating,
            padded={},
        )

    def sample(self, *arguments: Any) -> list[int]:
        return _ItemsAlone.sample(self, *arguments)  # type: ignore[arg-type]

    def run_all(self, how: str, groups: list[list[int]], lengths: dict[int, int]) -> Any:
        self.padded[how] = {place: lengths[place] for (place,) in groups}
        return how

    def compare(self, results: Any) -> Any:
        return results


def test_changes_are_counted_by_comparison_and_by_item() -> None:
    """An item that changes twice is two comparisons, and one of the items of the interval."""
    found = _summarize({
        "mixed": {0: (False, 0.25), 1: (True, 0.5), 2: (False, 0.0)}, "padded": {0: (False, 0.125), 3: (True, 0.0)},
    })  # fmt: skip
    assert (found.how, found.items, found.comparisons, found.changed) == (["mixed", "padded"], 4, 5, 3)
    assert found.max_abs_logit_change == 0.5
    assert found.changed_share_95 == pytest.approx((0.0676, 0.9324), abs=1e-4)  # Clopper and Pearson, 2 of 4
    nothing = _summarize({"none": {}})
    assert (nothing.how, nothing.items, nothing.comparisons, nothing.changed) == (["none"], 0, 0, 0)
    assert (nothing.changed_share_95, nothing.max_abs_logit_change) == (None, 0.0)


def test_mixed_batches() -> None:
    """Of 16 items in any order, each item once; another seed mixes them otherwise, the same one does not."""
    alone: Any = Alone([10] * 40)
    groups = _mixed_groups(alone, 1)
    assert [len(group) for group in groups] == [GROUP, GROUP, 8]
    assert sorted(place for group in groups for place in group) == alone.places == list(range(40))
    assert groups == _mixed_groups(alone, 1) != _mixed_groups(alone, 2)
    assert groups[0] != alone.places[:GROUP]


@pytest.mark.parametrize(("tokens", "groups"), [(200, 4), (208, 4), (209, 3), (625, 2), (626, 1)])
def test_mixed_batches_have_a_budget(tokens: int, groups: int) -> None:
    """Of padded tokens: the batch with which it is exceeded is the last one."""
    alone: Any = Alone([tokens] + [tokens // 2] * 63)
    alone.places = [0] * 64  # of any batch the longest is this long
    assert len(_mixed_groups(alone, 0)) == groups


@pytest.mark.parametrize(
    ("alone", "count"),
    [
        (Alone([100] * 50), 20),  # 2,000 tokens of 5,000
        (Alone([10] * 50), 50),
        (Alone([5000] * 50), 1),
        (Alone([10] * 200, independent=False), RERUN),
        (Alone([10] * 50, independent=False), 50),
        (Alone([10] * 200, generating=True), PROMPTS),
        (Alone([10] * 20, generating=True), 20),
    ],
)
def test_a_sample_is_within_its_budget(alone: Alone, count: int) -> None:
    """Evenly spread, from the first to the last; never empty."""
    sampled = alone.sample(alone.places, 2000, alone.tokens)
    assert len(sampled) == count
    steps = np.diff(sampled)
    assert sampled[0] == 0
    assert count == 1 or (sampled[-1] == alone.places[-1] and steps.min() + 1 >= steps.max())


def test_padding_is_twice_the_length_and_the_whole_window() -> None:
    """Never more than the tokenizer's longest; the whole window for as many as the budget takes."""
    alone: Any = Alone([10, 40] * 100, longest=64)
    how = _compare_padded(alone)
    assert list(how) == ["to 2 times their length", "to 64 tokens"]
    stretched, full = alone.padded.values()
    assert set(stretched.items()) == {(at, 20 if at % 2 == 0 else 64) for at in range(200)} & set(stretched.items())
    assert {stretched[at] for at in stretched} == {20, 64}
    assert len(stretched) == 200
    assert set(full.values()) == {64}
    assert len(full) == 156  # 64 tokens each of 10,000
    for fixed in (Alone([10], independent=False), Alone([10], generating=True)):
        assert _compare_padded(fixed) == {"none: rows that run alone are not padded": {}}  # type: ignore[arg-type]


def drawing(draw: Any, items: int = 20) -> Any:
    """Served prompts, whose answers are drawn by ``draw(item, seed, number)``."""
    task = mock.Mock(spec=Generation)
    task.settings = SimpleNamespace(model_dump=lambda: {"max_new_tokens": 5})
    predictor = SimpleNamespace(
        task=task,
        encode=lambda inputs, parameters: [SimpleNamespace(windows=[(inputs[0], parameters)])],
        run=lambda windows: [[draw(windows[0][0], windows[0][1]), None]],
    )
    return SimpleNamespace(predictor=predictor, reference=SimpleNamespace(items=list(range(items))))


def test_answers_are_drawn_alone_and_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight prompts from the first to the last, two seeds each, alone and as the first of three, few tokens long."""
    asked = []

    def draw(item: int, parameters: Any) -> Generated:
        assert parameters.do_sample
        asked.append((item, parameters.seed, parameters.num_return_sequences))
        assert parameters.max_new_tokens == 5
        return Generated([item], "", 0.5, "length")

    found = measure_sampling(drawing(draw))
    assert found is not None
    assert (found.together, found.comparisons, found.changed) == (3, 16, 0)
    prompts = [0, 3, 5, 8, 11, 14, 16, 19]
    assert asked == [(item, seed, number) for item in prompts for seed in (0, 1) for number in (1, 3)]
    monkeypatch.setattr(sampling, "MOST_TOKENS", 5)
    assert measure_sampling(drawing(draw, items=3)).comparisons == 6  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("tokens", "score", "changed"),
    [
        ([1], 0.5, 0),
        ([1], 0.5 + MAX_SCORE_CHANGE * 0.99, 0),
        ([1], 0.5 + MAX_SCORE_CHANGE * 1.01, 16),
        ([1], 0.5 - MAX_SCORE_CHANGE * 1.01, 16),
        ([2], 0.5, 16),
    ],
)
def test_another_token_or_score_is_a_change(tokens: list[int], score: float, changed: int) -> None:
    """Scores differ before tokens do."""

    def draw(item: int, parameters: Any) -> Generated:
        beside = parameters.num_return_sequences > 1
        return Generated(tokens if beside else [1], "", score if beside else 0.5, "length")

    assert measure_sampling(drawing(draw)).changed == changed  # type: ignore[union-attr]


def test_results_come_in_the_order_of_the_values() -> None:
    """Of one worker on the caller's thread, of two at once."""
    assert list(map_in_threads(lambda each: (each, threading.get_ident()), range(3), 1)) == [
        (each, threading.get_ident()) for each in range(3)
    ]
    both = threading.Barrier(2, timeout=60)

    def meet(value: int) -> int:
        both.wait()
        return value * 2

    assert list(map_in_threads(meet, range(6), 2)) == [0, 2, 4, 6, 8, 10]
