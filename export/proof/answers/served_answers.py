"""The served answers to the reference's items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from typing import Any

from export.proof.answers.item_answers import ItemAnswers
from export.proof.answers.logit_difference import logit_difference
from export.proof.answers.reference import ReferenceAnswers, TeacherAnswers, run_in_batches
from export.proof.answers.stored_window import same_tokens
from export.proof.statistics.metric_change import LEVEL, ChangedAnswers, MetricChange, measure_change, unmeasured_change
from serving.inference.predictor import Predictor
from serving.observability.progress import track
from serving.tasks.base import Encoded

LARGEST_DROP = 0.999
"""Of a share of rows: the tests take budgets below 1."""


@dataclass(frozen=True)
class ServedAnswers:
    """Lists by item.

    Attributes:
        level: of the metric's test.
        workers: calls of the predictor that run at once.
    """

    reference: ReferenceAnswers
    predictor: Predictor
    encoded: list[Encoded]
    results: list[list[Any]]
    level: float = LEVEL
    workers: int = 1

    @cached_property
    def answers(self) -> ItemAnswers:
        reference = self.reference
        return ItemAnswers(reference.training_task, self.predictor.task, reference.counts, self.encoded, self.results)

    @property
    def row_answers(self) -> list[Any]:
        return self.answers.by_row

    @cached_property
    def same_tokens(self) -> list[bool]:
        pairs = zip(self.encoded, self.reference.encoded, strict=True)
        return [same_tokens(self.predictor.task, *pair) for pair in pairs]

    @cached_property
    def same_answers(self) -> list[bool]:
        """Whether both answers lead to the same decision."""
        pairs = zip(self.answers.decisions, self.reference.answers.decisions, strict=True)
        return [served == reference for served, reference in pairs]

    @cached_property
    def changed_rows(self) -> list[bool]:
        """Whether one of the row's items has another answer."""
        same = iter(self.same_answers)
        return [False in list(islice(same, count)) for count in self.reference.counts]

    @cached_property
    def correct_rows(self) -> tuple[list[bool] | None, list[bool] | None]:
        """Of reference and served side; None if the task cannot tell."""
        task, rows = self.reference.training_task, self.reference.evaluation
        if not rows.labelled:
            return None, None
        return task.is_correct(rows, self.reference.row_answers), task.is_correct(rows, self.row_answers)

    @cached_property
    def judged_confidences(self) -> tuple[list[float], list[bool], list[float], list[bool]] | None:
        """Of reference and served side, the rows' confidences and whether they are right; None if there are none."""
        confidences, (right, served_right) = self.reference.training_task.confidences, self.correct_rows
        before, after = confidences(self.reference.row_answers), confidences(self.row_answers)
        if before is None or after is None or right is None or served_right is None:
            return None
        return before, right, after, served_right

    @cached_property
    def differences(self) -> list[tuple[float, float]]:
        """Largest and mean absolute logit difference."""
        places = track("logit differences", range(len(self.encoded)), len(self.encoded))
        return [logit_difference(self.logits(place), self.reference.logits(place)) for place in places]

    def logits(self, place: int) -> list[Any]:
        return self.predictor.logits(self.encoded[place].windows, self.results[place])

    @cached_property
    def change(self) -> MetricChange | None:
        """Over all rows; None if they have no labels."""
        if not self.reference.evaluation.labelled:
            return None
        return self._change(self.reference.row_answers)

    @cached_property
    def teacher_change(self) -> MetricChange | None:
        """From a student's teacher, over all rows."""
        teacher = self.reference.teacher
        return self._change_from(teacher) if teacher and self.reference.evaluation.labelled else None

    @cached_property
    def teacher_set_changes(self) -> dict[str, MetricChange]:
        """The same of each named test set."""
        teacher, sets = self.reference.teacher, self.reference.test_sets
        return {name: self._change_from(teacher, places) for name, places in sets.items()} if teacher else {}

    def _change_from(self, teacher: TeacherAnswers, places: range | None = None) -> MetricChange:
        task = self.reference.training_task
        budget = min(teacher.budget, LARGEST_DROP) if task.proof_metric in task.shares else teacher.budget
        return replace(self._change(teacher.answers, places, budget), unlabelled_rows_needed=None)

    @cached_property
    def test_set_changes(self) -> dict[str, MetricChange]:
        """Of each named test set; a large one would hide what a small one loses."""
        sets = self.reference.test_sets
        return {name: self._change(self.reference.row_answers, places) for name, places in sets.items()}

    @cached_property
    def cut_changes(self) -> dict[str, MetricChange]:
        """Of answers of which callers may ask for a part: vectors cut to each trained size."""
        task = self.reference.training_task
        if not self.reference.evaluation.labelled:
            return {}
        sides = (task.cut_answers(answers) for answers in (self.reference.row_answers, self.row_answers))
        before, after = map(dict, sides)
        return {name: self._change(list(before[name]), after=list(after[name])) for name in before}

    def _change(
        self,
        before: list[Any],
        places: range | None = None,
        budget: float | None = None,
        after: list[Any] | None = None,
    ) -> MetricChange:
        """NaN if the answers cannot be scored. By default of the whole answers to all rows, with a variant's budget."""
        task, rows = self.reference.training_task, self.reference.evaluation
        of_teacher = self.reference.teacher is not None and before is self.reference.teacher.answers
        after = self.row_answers if after is None else after
        if places is not None:
            part = slice(places.start, places.stop)
            rows, before, after = rows.take(places), before[part], after[part]
        metric, budget = task.proof_metric, task.recipe.export.max_metric_drop if budget is None else budget
        score = task.score(rows, before)[metric]
        try:
            served = task.score(rows, after)[metric]
        except ValueError:  # correlations refuse values that are not finite
            return unmeasured_change(metric, score, len(rows), budget, self.level)
        sides = [task.weigh(metric, rows, each) for each in (before, after)]
        floor = task.least(metric, rows)
        unlabelled = None if of_teacher else self._changed_unlabelled
        return measure_change(metric, (score, served), (sides[0], sides[1]), budget, self.level, floor, unlabelled)

    @cached_property
    def _changed_unlabelled(self) -> ChangedAnswers | None:
        unlabelled = self.reference.unlabelled
        if unlabelled is None:
            return None
        changed = compute_served_answers(unlabelled.answers, self.predictor, workers=self.workers).changed_rows
        return ChangedAnswers(
            unlabelled.source, unlabelled.sha256, unlabelled.rows, compared=len(changed), changed=changed.count(True)
        )


def compute_served_answers(
    reference: ReferenceAnswers, predictor: Predictor, level: float = LEVEL, workers: int = 1
) -> ServedAnswers:
    """Batched as a server batches."""
    run, part = partial(run_items, predictor), f"{predictor.manifest.graph.variant}'s answers"
    encoded, results = run_in_batches(part, predictor.task, predictor.encode, run, reference.items, workers)
    return ServedAnswers(reference, predictor, _share_windows(encoded, reference.encoded), results, level, workers)


def _share_windows(ours: Sequence[Encoded], theirs: Sequence[Encoded]) -> list[Encoded]:
    """Equal windows are held once."""
    pairs = zip(ours, theirs, strict=True)
    return [replace(a, windows=b.windows) if a.windows == b.windows else a for a, b in pairs]


def run_items(predictor: Predictor, encoded: Sequence[Encoded]) -> list[list[Any]]:
    """Results by item and window."""
    return group_by_item(encoded, predictor.run([window for each in encoded for window in each.windows]))


def group_by_item(encoded: Sequence[Encoded], results: Sequence[Any]) -> list[list[Any]]:
    remaining = iter(results)
    return [[next(remaining) for _ in each.windows] for each in encoded]
