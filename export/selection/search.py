"""Finds the fastest candidate that passes: times and judges each, then proves from the fastest on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from export.proof.display import change_unit, format_change
from export.proof.prove import Judgement
from export.selection.candidate import Candidate
from export.selection.speed import CLEARLY_FASTER, Pace, measure_pace
from export.variants.registry import Variant, variants_for
from export.workspace import BuiltVariant, Workspace
from serving.errors import UserError
from serving.observability.progress import begin_step
from trainer.metrics.display import metric_title

MOST_PROVEN = 2
"""Variants of the run that may reach the test rows, beside one of each student: all of them share the level of the
metric's test."""


def search_variants(
    workspace: Workspace, folder: Path, generates: bool, students: Sequence[Workspace] = ()
) -> list[Candidate]:
    """Try every variant of this model and of its students.

    The result starts with fp32, and has nothing else if that fails.
    """
    exact, *others = {each.name: each for each in variants_for(generates, workspace.provider).values()}.values()
    begin_step(f"{exact.name}: converting, proving, timing…")
    fp32 = _prove_candidate(workspace, _build_candidate(workspace, Candidate(exact), folder / exact.name))
    if fp32.reason or fp32.built is None:
        return [fp32]
    fp32 = dataclasses.replace(fp32, pace=_measure_pace(workspace, fp32.built, None))
    candidates = []
    for number, variant in enumerate(others, 2):
        begin_step(f"variant {number} of {len(others) + 1}, {variant.name}: converting, timing, judging…")
        candidates.append(_try_variant(workspace, Candidate(variant), folder / variant.name, fp32))
    for number, student in enumerate(students, 1):
        home = folder / f"student {number}"
        home.mkdir()
        candidates += _try_student(workspace, student, [exact, *others], home, fp32)
    return [fp32, *_prove_until_passed(workspace, candidates)]


def _try_student(
    workspace: Workspace, student: Workspace, variants: Sequence[Variant], folder: Path, fp32: Candidate
) -> list[Candidate]:
    tried = []
    for number, variant in enumerate(variants, 1):
        candidate = Candidate(variant, student=student)
        begin_step(f"{candidate.name}, {number} of {len(variants)}: converting, timing, judging…")
        tried.append(_try_variant(workspace, candidate, folder / variant.name, fp32))
    return tried


def _build_candidate(workspace: Workspace, candidate: Candidate, folder: Path) -> Candidate:
    folder.mkdir()
    try:
        return dataclasses.replace(candidate, built=(candidate.student or workspace).build(candidate.variant, folder))
    except UserError as error:
        return dataclasses.replace(candidate, reason=_first_line(error))


def _try_variant(workspace: Workspace, candidate: Candidate, folder: Path, fp32: Candidate) -> Candidate:
    """Timed and, if it is clearly faster, judged on validation rows."""
    candidate, own = _build_candidate(workspace, candidate, folder), candidate.student or workspace
    if candidate.built is None:
        return candidate
    pace = _measure_pace(workspace, candidate.built, fp32.built, own)
    if not pace.clearly_faster:
        low = f"{pace.interval[0]:.2f} × at least, {CLEARLY_FASTER} required"
        reason = f"not clearly faster than fp32: {low}; not judged"
        return dataclasses.replace(candidate, pace=pace, reason=reason, slower=True)
    try:
        built = own.calibrate(candidate.built)
        candidate, judgement = dataclasses.replace(candidate, built=built), own.judge(built)
    except UserError as error:
        return dataclasses.replace(candidate, pace=pace, reason=_first_line(error))
    reasons = [*judgement.failures, *_loss_to_teacher(candidate, judgement)]
    return dataclasses.replace(candidate, pace=pace, judgement=judgement, reason="; ".join(reasons))


def _loss_to_teacher(candidate: Candidate, judgement: Judgement) -> list[str]:
    """A student that loses too much on validation rows is kept from the test rows."""
    change = judgement.teacher if candidate.student else None
    if change is None or change.change > -change.budget:
        return []
    lost, budget = format_change(change.metric, -change.change, change.budget)
    unit = change_unit(change.metric)
    return [
        f"{metric_title(change.metric)} on validation rows {lost.lstrip('+')}{unit} below the run's, less than"
        f" {budget.lstrip('+')} accepted"
    ]


def _measure_pace(
    workspace: Workspace, built: BuiltVariant, fp32: BuiltVariant | None, own: Workspace | None = None
) -> Pace:
    """Relative to the run's ``fp32``; ``own``: the student's workspace, of its variant."""
    baseline = workspace.create_predictor(fp32) if fp32 else None
    return measure_pace((own or workspace).create_predictor(built), baseline, workspace.reference.row_items)


def _prove_until_passed(workspace: Workspace, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The fastest first. Returns them in their order.

    Which variants may reach the test rows is settled before any does, so that Bonferroni's correction holds: if all of
    them lose more than the budget, one passes with a probability of LEVEL at most.
    """
    found, eligible = list(candidates), _eligible(candidates)
    best = None
    for place in eligible:
        each = found[place]
        if best is None:
            begin_step(f"{each.name}: proving on the test rows…")
            found[place] = each = _prove_candidate(workspace, each, len(eligible))
            if each.student and not each.reason:
                each = _prove_fp32_behind(workspace, found, place, len(eligible))
            best = None if each.reason else each
    return [each if each.parity else _not_proven(each, best, len(eligible)) for each in found]


def _eligible(candidates: Sequence[Candidate]) -> list[int]:
    """Their places, the highest rank first: MOST_PROVEN of the run, and one of each student."""
    places = sorted((at for at, each in enumerate(candidates) if not each.reason), key=lambda at: -candidates[at].rank)
    counts, chosen = dict[int, int](), []
    for place in places:
        student = candidates[place].student
        counts[id(student)] = counts.get(id(student), 0) + 1
        if counts[id(student)] <= (1 if student else MOST_PROVEN):
            chosen.append(place)
    return chosen


def _prove_fp32_behind(workspace: Workspace, found: list[Candidate], place: int, tried: int) -> Candidate:
    """A student's variant serves with the student's fp32 behind it: both must pass, which needs no correction."""
    each = found[place]
    if each.variant.exact:
        return each
    behind = next(at for at, other in enumerate(found) if other.student is each.student and other.variant.exact)
    begin_step(f"{found[behind].name}: proving on the test rows…")
    found[behind] = _prove_candidate(workspace, found[behind], tried)
    if found[behind].reason:
        reason = f"its fp32, which every bundle needs, cannot be proven: {found[behind].reason}"
        found[place] = dataclasses.replace(each, reason=reason)
    return found[place]


def _not_proven(candidate: Candidate, best: Candidate | None, tried: int) -> Candidate:
    if candidate.reason:
        return candidate
    faster = f"slower than {best.name}" if best else f"slower than the {tried} that were"
    if best and candidate.ratio >= best.ratio:
        faster = f"not clearly faster than {best.name}"
    return dataclasses.replace(candidate, reason=f"{faster}; not proven", slower=True)


def _prove_candidate(workspace: Workspace, candidate: Candidate, tried: int = 1) -> Candidate:
    """``tried``: variants that share the level of the metric's test."""
    if candidate.built is None:
        return candidate
    try:
        parity = (candidate.student or workspace).prove(candidate.built, tried)
    except UserError as error:
        return dataclasses.replace(candidate, reason=_first_line(error))
    return dataclasses.replace(candidate, parity=parity, reason="; ".join(parity.failures))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
