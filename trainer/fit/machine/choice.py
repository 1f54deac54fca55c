"""Precision and threads, chosen by a few timed steps.

Candidates make the same steps by turns, so that a busy machine slows all of them: precisions on a part of a usual
batch, and numbers of threads, with the better precision, on a whole one and on a long one. fp32 on all threads is the
first, and stays unless another is clearly faster. bfloat16 must also give nearly fp32's losses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from serving.settings.settings import available_cpus
from trainer.fit.machine.trial import Candidate, Timing, Trial
from trainer.fit.machine.workload import Workload

FASTER = 1.1
"""How much faster than the first a candidate must be: less is noise."""

CLEAR = 1.5
"""How much faster than the others one must be for no further round."""

CLOSE = 0.05
"""Of the fp32 loss: how far that of bfloat16 may be."""

WORTH_SECONDS = 10.0
"""Of training, below which it is not worth a comparison."""

ROUND_SECONDS, ROUND_SHARE = 4.0, 0.015
"""Rounds end after so long, or after this share of the training if that is shorter."""

LEAST_SECONDS, LEAST_SHARE, LARGEST_SHARE = 10.0, 0.05, 0.01
"""No other number of threads is tried after so long, or that share of a short training, or this one of a long one."""

HOPELESS_SECONDS = 1.0
"""Of a step."""

ROUNDS = 4

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Choice:
    """``timings``, the first being that of fp32 where it was tried, and in words why ``chosen`` was chosen."""

    chosen: Timing
    timings: list[Timing]
    reason: str

    def to_record(self, workload: Workload) -> dict[str, Any]:
        timings = [
            {
                "bf16": timing.candidate.bf16,
                "threads": timing.candidate.threads,
                "seconds_per_step": round(workload.step_seconds(timing), 6) if timing.problem is None else None,
                "problem": timing.problem,
            }
            for timing in self.timings
        ]
        chosen = self.chosen.candidate
        return {"bf16": chosen.bf16, "threads": chosen.threads, "reason": self.reason, "timings": timings}


def choose(trial: Trial, workload: Workload, precisions: Sequence[bool], threads: Sequence[int]) -> Choice:
    """Of the ``precisions`` (bf16 or not) the better, and then of the numbers of ``threads``; the defaults first."""
    timings = [Timing(Candidate(bf16, threads[0])) for bf16 in precisions]
    if len(precisions) == len(threads) == 1:
        return _measure(trial, workload, timings, "as the recipe and the environment say")
    for _ in range(2):  # the first step of all is slower than those behind it
        trial.run(timings[0], workload.probes[:1], part=True)
    if timings[0].problem is None and workload.training_seconds(timings[0]) < WORTH_SECONDS:
        return _measure(trial, workload, timings[:1], "the training is too short for a comparison")
    best = _fastest(trial, workload, timings, part=True)
    choice = _measure(trial, workload, sorted(timings, key=lambda each: each is not best), "measured")
    return _with_fewer_threads(trial, workload, choice, threads[1:])


def _measure(trial: Trial, workload: Workload, preferred: list[Timing], reason: str) -> Choice:
    """By whole steps, of the first that can make them; of the others stays what a part told."""
    whole: dict[Candidate, Timing] = {each.candidate: each for each in preferred}
    for each in preferred:
        measured = whole[each.candidate] = Timing(each.candidate, problem=each.problem)
        _compare(trial, workload, [measured])
        if measured.problem is None:
            break
    else:
        measured = whole[preferred[0].candidate]  # training says what is wrong
    return Choice(measured, sorted(whole.values(), key=lambda each: each.candidate.bf16), reason)


def _with_fewer_threads(trial: Trial, workload: Workload, choice: Choice, threads: Sequence[int]) -> Choice:
    """As long as each is faster than the one before."""
    best, timings = choice.chosen, choice.timings
    for count in threads if best.problem is None else ():
        training = workload.training_seconds(best)
        if trial.spent > max(min(LEAST_SECONDS, LEAST_SHARE * training), LARGEST_SHARE * training):
            break
        timings = [*timings, Timing(Candidate(best.candidate.bf16, count))]
        if _fastest(trial, workload, [best, timings[-1]]) is best:
            break
        best = timings[-1]
    return Choice(best, timings, choice.reason)


def _fastest(trial: Trial, workload: Workload, timings: list[Timing], part: bool = False) -> Timing:
    """The first, unless another is clearly faster."""
    first, *others = timings
    _compare(trial, workload, timings, part)
    for timing in others:
        timing.problem = timing.problem or _difference(first, timing)
    sound = [timing for timing in others if timing.problem is None]
    if not sound:
        return first  # if it cannot be computed either, training says so
    best = min(sound, key=workload.step_seconds)
    keep = first.problem is None and workload.step_seconds(first) < FASTER * workload.step_seconds(best)
    return first if keep else best


def _compare(trial: Trial, workload: Workload, timings: list[Timing], part: bool = False) -> None:
    """Rounds until the time is up, or one is clearly faster than the others."""
    lengths = workload.probes[:1] if part else workload.probes
    for timing in timings[1:]:
        _warm(trial, timing, workload, timings[0], part)
    spent = 0.0
    for _ in range(ROUNDS):
        spent += sum(trial.run(timing, lengths, part) for timing in timings if timing.problem is None)
        training = [workload.training_seconds(each) for each in timings[:1] if each.problem is None]
        if spent > min([ROUND_SECONDS, *(ROUND_SHARE * each for each in training)]) or _is_clear(workload, timings):
            return


def _warm(trial: Trial, timing: Timing, workload: Workload, first: Timing, part: bool) -> None:
    """The first steps; a candidate that is much slower on the usual batch is spared the long one."""
    usual, *longer = workload.probes
    seconds = trial.run(timing, [usual], part)
    if not first.problem and seconds > HOPELESS_SECONDS and seconds > 3 * sum(first.passes.values()):
        timing.problem = timing.problem or "more than 3 times slower"
    if timing.problem is None and not part:
        trial.run(timing, longer)


def _is_clear(workload: Workload, timings: list[Timing]) -> bool:
    fastest, *others = sorted(workload.step_seconds(each) for each in timings if each.problem is None) or [0.0]
    return bool(others) and others[0] > CLEAR * fastest


def _difference(first: Timing, other: Timing) -> str | None:
    """In words, where another precision's losses of the same steps are not nearly the same."""
    if first.problem is not None or first.candidate.bf16 == other.candidate.bf16:
        return None
    for expected, found in zip(first.losses, other.losses, strict=False):
        if abs(found - expected) > CLOSE * abs(expected) + CLOSE / 5:
            return f"its loss is {found:.4g}, and {expected:.4g} in fp32"
    return None


def precisions(bf16: bool | None, device: str) -> list[bool]:
    """Whether to compute in bfloat16: as the recipe says, else what may be tried, fp32 first."""
    if bf16 is not None:
        return [bf16]
    if device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return [False]
    return [False, True]


def thread_counts(given: int | None, device: str) -> list[int]:
    """The given number; else all CPUs, and fewer where nobody has set a number and the CPU computes."""
    if given:
        return [given]
    if device != "cpu" or any(name in os.environ for name in THREAD_VARIABLES):
        return [torch.get_num_threads()]
    most = min(torch.get_num_threads(), available_cpus())
    return [most >> halvings for halvings in range(most.bit_length())]
