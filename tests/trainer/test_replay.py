"""A run is repeated from its lock to the same bits, and every difference is reported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from serving.errors import InputError
from tests import tiny
from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, fit, weights
from trainer.recipe.recipe import load_recipe
from trainer.replay import Replay, replay
from trainer.run.lock import Environment, read_lock, weight_hashes
from trainer.run.run import Run


@pytest.fixture(scope="module")
def trained(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one epoch, beside its data."""
    folder = tmp_path_factory.mktemp("replay")
    recipe = tiny.write_recipe(folder, tiny_backbone, training={"num_train_epochs": 1})
    return fit(load_recipe(recipe), folder / "run")


@pytest.fixture
def run(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A copy that a test may change, its data too, at the same depth, so that relative paths hold."""
    home = tmp_path_factory.mktemp("replay")
    shutil.copytree(trained.root.parent, home, dirs_exist_ok=True)
    return Run(home / "run")


def differing(found: Replay) -> dict[str, str]:
    """The differences of each check that decides, in words."""
    return {check.name: "; ".join(check.differences) for check in found.checks if not check.equal and check.decides}


def alter(run: Run, **changes: Any) -> None:
    """Write the lock with values changed."""
    read_lock(run).model_copy(update=changes).write(run)


def test_lock(trained: Run, tiny_backbone: Path) -> None:
    """lock.json names the inputs, the environment and the result."""
    lock = read_lock(trained)
    record = trained.read_record()
    assert lock.recipe == record["recipe"]
    assert lock.model["sha256"] == record["model"]["sha256"] == lock.model["files"]["model.safetensors"]
    assert {"config.json", "tokenizer.json", "1_Pooling/config.json"} <= set(lock.model["files"])
    assert lock.data == record["data"]
    assert lock.seed == 0
    assert lock.threads == torch.get_num_threads()
    assert {"torch", "numpy", "transformers"} <= set(lock.environment.versions)
    assert lock.result is not None
    assert lock.result.weights == weight_hashes(trained)
    assert set(lock.result.weights) == {"model.safetensors", "head.safetensors"}
    assert lock.result.metrics == record["metrics"]


@pytest.mark.slow
def test_equal(run: Run, tmp_path: Path) -> None:
    """Repeated here, a run has the same weights to the bit; the repeated one is kept where it is asked for."""
    found = replay(run.root, tmp_path / "again")
    assert found.equal
    assert found.trained
    assert differing(found) == {}
    assert weights(Run.open(tmp_path / "again")) == weights(run)
    assert json.loads(run.replay.read_text())["equal"] is True
    with pytest.raises(InputError, match="holds a run already"):
        replay(run.root, tmp_path / "again")


def test_changed_data(run: Run) -> None:
    """A changed data file is named, with the rows that it changes, and nothing is trained."""
    rows = tiny.toy_rows()
    tiny.write_csv(run.root.parent / "toy.csv", [*rows[:-1], ("has my boat arrived?", rows[-1][1])])
    found = replay(run.root)
    assert (found.equal, found.trained) == (False, False)
    assert "data.train (toy.csv): " in differing(found)["data"]
    assert "rows: " in differing(found)["data"]


@pytest.mark.slow
def test_moved_data(run: Run) -> None:
    """Data that lies elsewhere now is the same data; what is not there is an error that names the path."""
    (run.root.parent / "toy.csv").rename(run.root.parent / "moved.csv")
    with pytest.raises(InputError, match=r"toy\.csv: there is no such file"):
        replay(run.root)
    found = replay(run.root, overrides=["data.train=../moved.csv"])
    assert found.trained
    assert found.equal


def test_other_seed(run: Run) -> None:
    """Another seed in the recipe is named and nothing is trained."""
    found = replay(run.root, overrides=["training.seed=7"])
    assert (found.equal, found.trained) == (False, False)
    assert differing(found) == {"recipe": "training.seed: 0 in the lock, 7 now"}


@pytest.mark.slow
def test_a_lock_of_another_seed(run: Run) -> None:
    """Weights of another seed than the lock's are reported file by file, with their distance."""
    recipe = {**read_lock(run).recipe, "training": {**read_lock(run).recipe["training"], "seed": 7}}
    alter(run, recipe=recipe, seed=7)
    run.recipe.write_text(run.recipe.read_text().replace("\n  seed: 0\n", "\n  seed: 7\n"))
    messages = differing(replay(run.root))["weights"]
    assert "model.safetensors: " in messages
    assert "head.safetensors: " in messages
    assert "2 of 2 tensors differ, the most by 0." in messages


@pytest.mark.slow
def test_perturbed_weight(run: Run) -> None:
    """One number of the checkpoint changed since training is found, and the repeated weights are the lock's."""
    path = run.checkpoint / "head.safetensors"
    values = load_file(path)
    values["bias"][0] += 1e-6
    save_file(values, path)
    messages = differing(replay(run.root))
    assert set(messages) == {"files"}
    assert "head.safetensors: " in messages["files"]
    assert "in the folder" in messages["files"]


@pytest.mark.slow
def test_other_versions(run: Run) -> None:
    """A library of another version is named, and so are figures that are not the lock's."""
    lock = read_lock(run)
    assert lock.result is not None
    environment = lock.environment.model_dump()
    environment["versions"]["torch"] = "1.0.0"
    metrics = {**lock.result.metrics, "test": {**lock.result.metrics["test"], "accuracy": 2.0}}
    alter(
        run,
        environment=Environment.model_validate(environment),
        result=lock.result.model_copy(update={"metrics": metrics}),
    )
    messages = differing(replay(run.root))
    assert messages["versions"].startswith('torch: "1.0.0" in the lock, ')
    assert messages["metrics"].startswith("test.accuracy: 2.0 in the lock, 0.")


@pytest.mark.slow
def test_threads(run: Run) -> None:
    """A run is repeated with the lock's number of threads, and the process has its own again afterwards."""
    lock = read_lock(run)
    hardware = {**lock.environment.hardware, "threads": 3}
    alter(run, environment=lock.environment.model_copy(update={"hardware": hardware}))
    before = torch.get_num_threads()
    replay(run.root, run.root.parent / "again")
    assert read_lock(Run(run.root.parent / "again")).threads == 3
    assert torch.get_num_threads() == before


def test_without_a_lock(run: Run) -> None:
    """A run without a lock, or with a broken one, is refused with what to do."""
    run.lock.write_text("{}")
    with pytest.raises(InputError, match=r"lock\.json: recipe: Field required"):
        replay(run.root)
    run.lock.unlink()
    with pytest.raises(InputError, match=r"has no lock\.json.*train the run again"):
        replay(run.root)


@pytest.mark.slow
def test_resumed_in_another_environment(toy: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run keeps its lock's threads and records what has changed of the environment."""
    recipe = toy(training={"num_train_epochs": 2})
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "run", StopAt(7))
    begun = read_lock(Run(tmp_path / "run"))
    assert begun.result is None
    monkeypatch.setattr("trainer.run.environment.versions", lambda: {**begun.environment.versions, "torch": "9.9"})
    resumed = read_lock(fit(recipe, tmp_path / "run"))
    assert resumed.resumed == [f'versions.torch: "{begun.environment.versions["torch"]}" there, "9.9" now']
    assert resumed.threads == begun.threads
    assert resumed.result is not None


def test_changed_base_model(run: Run, tmp_path: Path) -> None:
    """A base model with one file changed since, its tokenizer, is named by that file, wherever it lies now."""
    moved = shutil.copytree(load_recipe(run.recipe).model, tmp_path / "moved")
    tokenizer = moved / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace("parcel", "carpet"))
    found = replay(run.root, overrides=[f"model={moved}"])
    assert not found.trained
    assert list(differing(found)) == ["base model"]
    assert differing(found)["base model"].startswith("files.tokenizer.json: ")
