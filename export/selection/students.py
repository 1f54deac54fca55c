"""Students that may serve for their teacher: whether they are its own, and its answers to their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from export.proof.answers.reference import TeacherAnswers, compute_reference_answers
from export.proof.gates import BUDGET_KEY
from export.selection.candidate import Candidate
from export.variants.registry import Variant
from export.workspace import Teacher, Workspace
from serving.bundle.bundle import sha256_of
from serving.bundle.manifest import ServesFor
from serving.errors import InputError
from serving.observability.progress import begin_step
from trainer.data.rows import Rows
from trainer.run.lock import read_lock, require_locked
from trainer.run.run import Run

OPTION, BUDGET_OPTION = "--student", "--max-metric-drop"


def override_budget(max_metric_drop: float | None, variant: Variant | None) -> list[str]:
    """Of a recipe; ``variant`` None: the fastest. Raises InputError for one that loses nothing."""
    if max_metric_drop is None:
        return []
    if variant and variant.exact:
        raise InputError(
            f"{BUDGET_OPTION}: {variant.name} loses nothing; leave it out, or give --variant auto or int8",
            field=BUDGET_OPTION,
        )
    return [f"export.max_metric_drop={max_metric_drop}"]


def open_students(run: Run, folders: Sequence[Path], variant: Variant | None = None) -> list[Run]:
    """Raises InputError unless each was distilled from ``run``, as its lock says, and has its test rows.

    A lock that names the run vouches for task and labels: no training begins where they differ.
    """
    if folders and variant:
        raise InputError(
            f"{OPTION}: is for --variant auto, which chooses; to serve a student as {variant.name}, export it itself",
            field=OPTION,
        )
    students = [_open(folder) for folder in folders]
    roots = [student.root.resolve() for student in students]
    if repeated := [root.name for at, root in enumerate(roots) if root in roots[:at]]:
        raise InputError(f"{OPTION}: {repeated[0]} is given twice", field=OPTION)
    if students and not run.read_evaluation().labelled:
        raise InputError(
            f"{OPTION}: the test rows of {run.root} have no labels, so that nothing tells what a student loses; leave"
            " it out, or give data.test labels",
            field=OPTION,
        )
    if students and "privacy" in run.read_record():
        raise InputError(
            f"{OPTION}: {run.root} is a private training, and its students have read the same rows without noise; leave"
            " it out",
            field=OPTION,
        )
    for student in students:
        if problem := _misfit(run, student):
            raise InputError(f"{OPTION}: {student.root} {problem}", field=OPTION)
    return students


def _open(folder: Path) -> Run:
    try:
        run = Run.open(folder)
        require_locked(run)
    except InputError as error:
        raise InputError(f"{OPTION}: {error}", field=OPTION) from error
    return run


def _misfit(run: Run, student: Run) -> str:
    name, teachers = run.root.resolve().name, read_lock(student).model.get("teachers", [])
    if not teachers:
        return f"is no student: its lock names no teacher; train it with distil.teacher={run.root}"
    if sha256_of(run.lock) not in [each["sha256"] for each in teachers]:
        known = ", ".join(each["id"] for each in teachers)
        again = "; it was trained again since" if name in [each["id"] for each in teachers] else ""
        return f"was not distilled from this {run.root}{again}: its lock names {known} with another sha256"
    if not _same_rows(run.read_evaluation(), student.read_evaluation()):
        return "has other test rows than its teacher; train it with the same data section"
    return ""


def _same_rows(ours: Rows, theirs: Rows) -> bool:
    return (ours.inputs, ours.targets) == (theirs.inputs, theirs.targets)


@contextmanager
def open_beside(teacher: Workspace, student: Run, budget: Sequence[str]) -> Iterator[Workspace]:
    """``budget``: overrides of the recipe."""
    begin_step(f"{student.root.resolve().name}: converting, and computing its answers to every test row…")
    settings = student, teacher.threads, teacher.max_bytes, teacher.provider
    with Workspace.open(*settings, overrides=budget, teacher=_teach(teacher, bool(budget))) as workspace:
        yield workspace


def _teach(workspace: Workspace, by_option: bool) -> Teacher:
    """The run's checkpoint's answers to a student's rows, with the budget that the run's own variants have."""
    recipe = workspace.reference.training_task.recipe
    key = BUDGET_OPTION if by_option else f"{BUDGET_KEY} of {workspace.run.recipe}"

    def answer(rows: Rows) -> TeacherAnswers:
        reference = workspace.reference
        if not _same_rows(rows, reference.evaluation):
            reference = compute_reference_answers(reference.model, reference.training_task, rows)
        answers = reference.row_answers
        reference.model.release()
        return TeacherAnswers(answers, recipe.export.max_metric_drop, key)

    return answer


def describe(run: Run, selected: Candidate) -> ServesFor | None:
    """What a manifest says where a student serves for the run."""
    if selected.student is None:
        return None
    assert selected.parity is not None
    assert selected.pace is not None
    change = selected.parity.teacher
    assert change is not None
    return ServesFor(
        run=run.root.resolve().name,
        lock_sha256=sha256_of(run.lock),
        metric=change.metric,
        run_score=change.reference,
        score=change.served,
        change=change.change,
        change_interval=(change.low, change.high),
        level=change.level,
        speed=selected.pace.ratio,
        speed_interval=selected.pace.interval,
    )
