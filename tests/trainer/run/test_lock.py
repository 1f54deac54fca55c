"""A finished run is held to its lock: its recipe, its rows, its record and every file of its checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from serving.errors import InputError
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import read_lock, require_locked
from trainer.run.run import Run


@pytest.fixture
def own_run(tiny_run: Run, tmp_path: Path) -> Run:
    """A copy of the tiny run that a test may change."""
    return Run(shutil.copytree(tiny_run.root, tmp_path / "run"))


def swap_weights(run: Run) -> None:
    path = run.checkpoint / "head.safetensors"
    save_file({name: tensor * 1.01 for name, tensor in load_file(path).items()}, path)


def change_config(run: Run) -> None:
    path = run.checkpoint / "config.json"
    path.write_text(path.read_text().replace('"hidden_act": "gelu"', '"hidden_act": "relu"'))


def change_task(run: Run) -> None:
    path = run.checkpoint / "task.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"labels": content["labels"][::-1]}))


def change_tokenizer(run: Run) -> None:
    path = run.checkpoint / "tokenizer.json"
    path.write_text(path.read_text().replace('"lowercase": true', '"lowercase": false'))


def add_generation_config(run: Run) -> None:
    (run.checkpoint / "generation_config.json").write_text('{"suppress_tokens": [5]}')


def drop_rows(run: Run) -> None:
    lines = run.evaluation.read_text().splitlines(keepends=True)
    run.evaluation.write_text("".join(lines[:-3]))


def change_a_label(run: Run) -> None:
    first, *others = run.evaluation.read_text().splitlines()
    run.evaluation.write_text("\n".join([json.dumps(json.loads(first) | {"target": "refund"}), *others]) + "\n")


def change_recipe(run: Run) -> None:
    run.recipe.write_text(run.recipe.read_text().replace("\n  seed: 0\n", "\n  seed: 7\n"))


def change_record(run: Run) -> None:
    run.write_record(run.read_record() | {"warnings": ["none"]})


def remove_a_file(run: Run) -> None:
    (run.checkpoint / "tokenizer_config.json").unlink()


def test_as_it_was_trained(own_run: Run) -> None:
    """Nothing to tell of a run that nobody has changed, wherever it lies."""
    assert require_locked(own_run) == read_lock(own_run)


def test_the_lock_has_every_file_of_the_checkpoint(tiny_run: Run) -> None:
    """Weights, configuration, tokenizer, task and head, and the record beside them."""
    result = read_lock(tiny_run).result
    assert result is not None
    names = {f"checkpoint/{path.name}" for path in tiny_run.checkpoint.iterdir()}
    weights = {f"checkpoint/{name}" for name in result.weights}
    assert weights | set(result.files) == names | {"run.json"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (swap_weights, r"checkpoint/head\.safetensors: .* in the lock, .* in the folder"),
        (change_config, r"checkpoint/config\.json: .* in the lock"),
        (change_task, r"checkpoint/task\.json: .* in the lock"),
        (change_tokenizer, r"checkpoint/tokenizer\.json: .* in the lock"),
        (add_generation_config, r"checkpoint/generation_config\.json: null in the lock"),
        (remove_a_file, r"checkpoint/tokenizer_config\.json: .* in the lock, null in the folder"),
        (drop_rows, r"evaluation\.jsonl\.rows: 18 in the lock, 15 in the folder; evaluation\.jsonl\.sha256: "),
        (change_a_label, r"evaluation\.jsonl\.sha256: .* in the lock"),
        (change_recipe, r"recipe\.yaml\.training\.seed: 0 in the lock, 7 in the folder"),
        (change_record, r"run\.json: .* in the lock"),
    ],
)
def test_changed_since(own_run: Run, change: Callable[[Run], None], told: str) -> None:
    """What was changed is named, with what the lock has and what is there, and what to do."""
    change(own_run)
    with pytest.raises(InputError, match=told) as error:
        require_locked(own_run)
    assert "restore" in str(error.value)
    assert "train it again" in str(error.value)


def test_what_trains_nothing_may_change(own_run: Run) -> None:
    """The recipe's sections export and card are read at the export, and no weight depends on how often was logged."""
    changes = ["card.license=mit", "export.max_metric_drop=0.01", "training.logging_steps=1"]
    load_recipe(own_run.recipe, changes).save(own_run.recipe)
    require_locked(own_run)


def test_a_run_of_an_earlier_version(own_run: Run) -> None:
    """Its lock lacks the keys that came later, which had their defaults then; others are still told."""
    lock, later = read_lock(own_run), ("adam_beta1", "adam_beta2", "adam_epsilon", "save_total_limit")
    training = {key: value for key, value in lock.recipe["training"].items() if key not in later}
    assert len(training) == len(lock.recipe["training"]) - len(later)
    lock.model_copy(update={"recipe": lock.recipe | {"training": training}}).write(own_run)
    require_locked(own_run)
    load_recipe(own_run.recipe, ["training.adam_beta1=0.8"]).save(own_run.recipe)
    with pytest.raises(InputError, match=r"training\.adam_beta1: 0\.9 in the lock, 0\.8 in the folder"):
        require_locked(own_run)


def test_without_a_lock(own_run: Run) -> None:
    """A run without a lock, with a broken one, or with one that has no result, is refused with what to do."""
    lock = read_lock(own_run)
    lock.model_copy(update={"result": None}).write(own_run)
    with pytest.raises(InputError, match=r"has no result; run its train command again"):
        require_locked(own_run)
    own_run.lock.write_text("{}")
    with pytest.raises(InputError, match=r"lock\.json: recipe: Field required"):
        require_locked(own_run)
    own_run.lock.unlink()
    with pytest.raises(InputError, match=r"has no lock\.json.*train the run again"):
        require_locked(own_run)


@pytest.mark.parametrize("line", ["{", "[]", '{"inputs": "a text"}'])
def test_rows_that_are_none(own_run: Run, line: str) -> None:
    """A broken row is named by file and number."""
    own_run.evaluation.write_text(own_run.evaluation.read_text() + line + "\n")
    with pytest.raises(InputError, match=r"evaluation\.jsonl, row 19: is no row"):
        own_run.read_evaluation()
