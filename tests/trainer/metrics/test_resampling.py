"""A score of weighted rows is the score of the rows written out as often as they count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.toys import TOYS
from trainer.fit.evaluate import evaluate
from trainer.metrics.resampling import pearson_of, spearman_of
from trainer.model.checkpoint import load_checkpoint
from trainer.recipe.recipe import METRICS, load_recipe
from trainer.run.run import Run
from trainer.tasks import create_training_task


@pytest.mark.parametrize("toy", TOYS)
def test_every_tasks_metrics_can_be_resampled(task_run: Callable[[str], Run], toy: str) -> None:
    """Real answers of each task, a third of them given to the wrong rows: the same figures as by its own scores."""
    training_task, rows = create_training_task(load_recipe(task_run(toy).recipe)), task_run(toy).read_evaluation()
    checkpoint = load_checkpoint(task_run(toy).checkpoint)
    answers = evaluate(checkpoint, training_task, rows, 16).answers
    answers = [answers[at - 1 if at % 3 == 0 else at] for at in range(len(rows))]
    weights = np.random.default_rng(0).multinomial(len(rows), [1 / len(rows)] * len(rows), size=20).astype(float)
    for metric in METRICS[training_task.recipe.task]:
        expected = [
            training_task.metrics(rows.take(some), [answers[at] for at in some])[metric]
            for some in (np.repeat(np.arange(len(rows)), row.astype(int)).tolist() for row in weights)
        ]
        assert training_task.weighted_metric(metric, rows, answers)(weights) == pytest.approx(expected, abs=1e-9)
        assert len(set(expected)) > 1


def test_a_resample_of_one_value_has_no_correlation() -> None:
    """Where all drawn rows are the same row the figure is 0, as in the scores themselves."""
    weights = np.array([[0.0, 3.0, 0.0], [1.0, 1.0, 1.0]])
    for correlation in (pearson_of, spearman_of):
        assert correlation([1, 2, 3], [1, 2, 4])(weights)[0] == 0
        assert correlation([1, 2, 3], [1, 2, 4])(weights)[1] > 0.9
