"""Test rows that training has seen are counted, and the score without them stands beside the plain one."""

from __future__ import annotations

import pytest

from tests.tiny import toy_rows
from tests.trainer.conftest import training_task
from trainer.data.rows import Rows
from trainer.fit.evaluate import evaluate
from trainer.fit.leaks import find_leaks, measure_without_leaks
from trainer.metrics.display import figures_table, leaks_note
from trainer.model.checkpoint import load_checkpoint
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.setup.splits import Splits
from trainer.tasks import create_training_task


def rows_of(pairs: list[tuple[str, str]]) -> Rows:
    texts, labels = [list(each) for each in zip(*pairs, strict=True)]
    return Rows("toy.csv", texts, labels, list(range(1, len(texts) + 1)), texts)


TRAIN, TEST = rows_of(toy_rows()[:48]), toy_rows()[48:]
SEEN = [(toy_rows()[0][0].upper() + "!", "cancel"), (toy_rows()[24][0].replace("back", "bakc"), "refund")]


def test_seen_rows_are_found() -> None:
    """Equal ones and, unless equal ones alone are asked for, nearly equal ones."""
    test = rows_of([*TEST, *SEEN])
    assert find_leaks([TRAIN], test, equal_only=True) == {24: 1.0}
    found = find_leaks([TRAIN], test, equal_only=False)
    assert found.keys() >= {24, 25}
    assert found[24] == 1.0 > found[25]


@pytest.mark.slow
def test_the_score_without_them(tiny_run: Run) -> None:
    """Is that of the other rows by themselves; report and terminal show it as a row of its own."""
    checkpoint = load_checkpoint(tiny_run.checkpoint)
    task = create_training_task(load_recipe(tiny_run.recipe))
    test = rows_of([*TEST, *((text, "track") for text, _ in SEEN)])  # wrong labels: they cost accuracy
    splits = Splits(TRAIN, TRAIN, test, checkpoint.labels, {})
    plain = evaluate(checkpoint, task, test, 8)
    leaks = measure_without_leaks(plain, splits, training_task("text-classification"))
    unseen = [at for at in range(len(test)) if at not in find_leaks([TRAIN], test, equal_only=False)]
    assert leaks["rows"] == len(test) - len(unseen)
    assert leaks["equal"] == 1
    alone = evaluate(checkpoint, task, test.take(unseen), 8).metrics()
    assert leaks["test"]["accuracy"] == pytest.approx(alone["accuracy"])
    assert leaks["test"]["accuracy"] > plain.metrics()["accuracy"]
    record = {**tiny_run.read_record(), "metrics": {"test": plain.metrics()}, "leaks": leaks}
    assert figures_table(record)[1][-1][:2] == ["test, unseen rows", str(len(unseen))]
    assert f"{leaks['rows']} of 26 test rows" in leaks_note(record)


def test_a_run_records_them(tiny_run: Run) -> None:
    """Also where there are none, or too few rows are left."""
    leaks = tiny_run.read_record()["leaks"]
    assert {"rows", "equal", "equal_only", "test"} == leaks.keys()
