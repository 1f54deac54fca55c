"""Precision and threads are chosen by timed steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch

from trainer.fit.machine.choice import Choice, choose, precisions, thread_counts
from trainer.fit.machine.trial import Candidate, Timing, Trial
from trainer.fit.machine.workload import Workload
from trainer.recipe.training import Training

USUAL, LONG = 16, 64
WORKLOAD = Workload(
    lengths=(USUAL,) * 90 + (LONG,) * 10, examples={USUAL: [0], LONG: [1]}, epochs=10, steps=1000, passes=10
)


@dataclass
class ScriptedTrial(Trial):
    """Steps that take the seconds and have the losses of a script, by candidate; text is a problem.

    ``too_large``: of those, each has memory for a part of a batch only.
    """

    seconds: dict[Candidate, float | str]
    losses: dict[Candidate, float] = field(default_factory=dict)
    too_large: Sequence[Candidate] = ()
    spent: float = 0.0
    steps: list[tuple[Candidate, bool]] = field(default_factory=list)

    def run(self, timing: Timing, lengths: Sequence[int], part: bool = False) -> float:
        step = self.seconds[timing.candidate]
        self.steps.append((timing.candidate, part))
        if timing.candidate in self.too_large and not part:
            step = "out of memory"
        if isinstance(step, str):
            timing.problem = step
            return 0.0
        timing.update = 0.0
        timing.passes |= {length: step * length / USUAL for length in lengths}
        timing.losses += [self.losses.get(timing.candidate, 4.0)] * len(lengths)
        self.spent += step * len(lengths)
        return step * len(lengths)


def chosen(seconds: dict[tuple[str, int], float | str], losses: dict[tuple[str, int], float] | None = None) -> Choice:
    """Of a machine with these seconds a usual step, by precision and threads."""
    by_candidate = {Candidate(name == "bf16", threads): value for (name, threads), value in seconds.items()}
    told = {Candidate(name == "bf16", threads): value for (name, threads), value in (losses or {}).items()}
    threads = sorted({threads for _, threads in seconds}, reverse=True)
    return choose(ScriptedTrial(by_candidate, told), WORKLOAD, [False, True], threads)


@pytest.mark.parametrize(
    ("seconds", "losses", "expected"),
    [
        ({("fp32", 2): 0.3, ("bf16", 2): 0.1, ("bf16", 1): 0.2}, {}, "bf16 with 2 threads"),
        ({("fp32", 2): 0.1, ("bf16", 2): 0.3, ("fp32", 1): 0.2}, {}, "fp32 with 2 threads"),
        # a difference that may be noise changes nothing
        ({("fp32", 2): 0.105, ("bf16", 2): 0.1, ("fp32", 1): 0.1}, {}, "fp32 with 2 threads"),
        # threads that stand in each other's way
        ({("fp32", 8): 0.3, ("bf16", 8): 0.3, ("fp32", 4): 0.1, ("fp32", 2): 0.2}, {}, "fp32 with 4 threads"),
        ({("fp32", 2): 0.3, ("bf16", 2): 0.1, ("fp32", 1): 0.9}, {("bf16", 2): 4.5}, "fp32 with 2 threads"),
        ({("fp32", 2): 0.3, ("bf16", 2): "no bfloat16 here", ("fp32", 1): 0.9}, {}, "fp32 with 2 threads"),
        ({("fp32", 1): "out of memory", ("bf16", 1): 0.3}, {}, "bf16 with 1 thread"),
    ],
    ids=["bf16", "fp32", "noise", "threads", "loss", "refused", "memory"],
)
def test_chosen(
    seconds: dict[tuple[str, int], float | str], losses: dict[tuple[str, int], float], expected: str
) -> None:
    """What is clearly faster, computes here, and has nearly fp32's loss."""
    choice = chosen(seconds, losses)
    assert str(choice.chosen.candidate) == expected
    record = choice.to_record(WORKLOAD)
    assert record["bf16"] is choice.chosen.candidate.bf16
    assert record["reason"] == "measured"
    assert len(record["timings"]) >= 2


def test_problem_is_told() -> None:
    """The record says why a faster precision was not chosen."""
    choice = chosen({("fp32", 1): 0.3, ("bf16", 1): 0.1}, {("bf16", 1): 4.5})
    assert choice.to_record(WORKLOAD)["timings"][1]["problem"] == "its loss is 4.5, and 4 in fp32"


def test_parts() -> None:
    """The slower precision makes no whole step, and where the difference is clear, neither makes more than it must."""
    fp32, bf16 = Candidate(False, 2), Candidate(True, 2)
    trial = ScriptedTrial({fp32: 0.3, bf16: 0.1})
    choose(trial, WORKLOAD, [False, True], [2])
    assert trial.steps == [(fp32, True), (fp32, True), (bf16, True), (fp32, True), (bf16, True), *[(bf16, False)] * 4]


def test_too_large_as_a_whole() -> None:
    """A precision in which only a part of a batch has room gives way to the other."""
    fp32, bf16 = Candidate(False, 2), Candidate(True, 2)
    choice = choose(ScriptedTrial({fp32: 0.1, bf16: 0.2}, too_large=[fp32]), WORKLOAD, [False, True], [2])
    assert choice.chosen.candidate == bf16
    assert [each["problem"] for each in choice.to_record(WORKLOAD)["timings"]] == ["out of memory", None]


def test_short_training() -> None:
    """A training of seconds is not worth a comparison: fp32, on every machine."""
    choice = chosen({("fp32", 2): 0.001, ("bf16", 2): 0.0001})
    assert str(choice.chosen.candidate) == "fp32 with 2 threads"
    assert choice.reason == "the training is too short for a comparison"


def test_nothing_computes() -> None:
    """Where no step can be made, the default stays, and training says what is wrong."""
    choice = chosen({("fp32", 2): "out of memory", ("bf16", 2): "out of memory", ("fp32", 1): 0.1})
    assert choice.chosen.problem == "out of memory"
    assert choice.to_record(WORKLOAD)["timings"][0]["seconds_per_step"] is None


def test_what_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A precision in the recipe is taken, and so is a number of threads from the caller or the environment."""
    assert precisions(True, "cpu") == [True]
    assert precisions(None, "cpu") == [False, True]
    assert thread_counts(3, "cpu") == [3]
    assert thread_counts(None, "cpu") == [torch.get_num_threads()]  # tests/conftest.py sets OMP_NUM_THREADS
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setattr("torch.get_num_threads", lambda: 12)
    monkeypatch.setattr("trainer.fit.machine.choice.available_cpus", lambda: 6)
    assert thread_counts(None, "cpu") == [6, 3, 1]


def test_cost() -> None:
    """A step's seconds grow along the line through the two measured lengths; an epoch's are those of its batches."""
    timing = Timing(Candidate(False, 1), passes={USUAL: 1.0, LONG: 4.0}, update=0.5)
    assert WORKLOAD.training_seconds(timing) == pytest.approx(10 * (90 * 1.0 + 10 * 4.0) + 1000 * 0.5)
    accumulated = Training(
        per_device_train_batch_size=1, num_train_epochs=2, gradient_accumulation_steps=2, weight_soup_runs=3
    )
    workload = Workload.of([USUAL, USUAL, LONG], [2, 0, 1], accumulated, 3)
    assert (workload.lengths, workload.examples) == ((LONG, USUAL, USUAL), {USUAL: [1], LONG: [2]})
    assert workload.steps == 12
    assert workload.training_seconds(timing) == pytest.approx(6 * 6.0 + 12 * 0.5)
    counted = Workload.of([USUAL, USUAL, LONG], [2, 0, 1], Training(per_device_train_batch_size=1, max_steps=30), 3)
    assert counted.training_seconds(timing) == pytest.approx(10 * 6.0 + 30 * 0.5)
