"""Repeats a run from its lock and reports every difference."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from safetensors.torch import load_file
from transformers import TrainerCallback

from serving.errors import InputError
from trainer.imports.importer import import_checkpoint
from trainer.recipe.applicability import adds_noise
from trainer.recipe.recipe import Recipe, load_recipe
from trainer.run.extensions import Records
from trainer.run.lock import (
    LOCKED,
    NOW,
    Environment,
    Lock,
    Result,
    changes_since,
    read_lock,
    read_result,
    weight_hashes,
)
from trainer.run.processes import count, from_first, is_first, shared_errors
from trainer.run.run import RUNNING, Run, differences, teacher_hashes, training_settings, write_atomically
from trainer.setup.training_setup import TrainingSetup, prepare_setup
from trainer.train import train

REPEATED = "when repeated"
NOT_REPEATED = (
    "not trained again: the noise of a private training is stored nowhere, so that it has other weights each time, and"
    " each time tells more of its rows"
)


class Check(BaseModel):
    """``differences`` are in words; ``decides``: they make the replay fail."""

    model_config = ConfigDict(frozen=True)

    name: Literal["recipe", "base model", "data", "extensions", "versions", "machine", "files", "metrics", "weights"]
    differences: list[str]
    decides: bool = True

    @property
    def equal(self) -> bool:
        return not self.differences


class Replay(BaseModel):
    """The content of replay.json.

    ``trained`` is False where recipe, base model or data differ, so that repeating would be pointless, and where the
    run is ``private``, so that it is impossible.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    equal: bool
    trained: bool
    private: bool = False
    checks: list[Check]


def replay(
    run_folder: Path,
    output: Path | None = None,
    overrides: list[str] | None = None,
    console: Console | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Replay:
    """Repeat a finished run, compare, and write replay.json into it; raises InputError.

    ``output`` keeps the repeated run, and one there that was interrupted goes on; ``overrides`` name the new paths of
    data or model.
    """
    with shared_errors():
        run = Run.open(run_folder)
        lock, locked = read_result(run)
        recipe = load_recipe(run.recipe, overrides or [])
        if recipe.imported and count() > 1:
            raise InputError(f"{run_folder}: was imported, which one process does; start it without torchrun")
        if recipe.imported:
            return _replay_import(run, lock, locked, recipe, output, console)
        setup = prepare_setup(recipe, run.root)
        inputs = _check_inputs(lock, setup, run)
    checks = [*inputs, *_check_environment(lock)]
    repeatable = all(check.equal for check in inputs)
    if repeatable and adds_noise(recipe):
        checks += [
            Check(name="files", differences=changes_since(lock, run)),
            Check(name="weights", differences=[NOT_REPEATED], decides=False),
        ]
    elif repeatable:
        checks += _repeat(run, lock, locked, setup.recipe, output, console, callbacks)
    result = Replay(
        equal=all(c.equal for c in checks if c.decides),
        trained=repeatable and not adds_noise(recipe),
        private=adds_noise(recipe),
        checks=checks,
    )
    if is_first():
        write_atomically(run.replay, result.model_dump_json(indent=2) + "\n")
    return result


def _replay_import(
    run: Run, lock: Lock, locked: Result, recipe: Recipe, output: Path | None, console: Console | None
) -> Replay:
    """Import the model again; what differs in model and rows shows after it."""
    mapping = {key: value for key, value in recipe.to_mapping().items() if key not in ("imported", "model_head")}
    labels = recipe.imported.labels if recipe.imported else ()
    with _output_folder(output) as folder:
        repeated = import_checkpoint(mapping, folder, labels=labels, console=console)
        now = read_lock(repeated)
        files = now.data["files"]
        checks = [
            Check(name="recipe", differences=_compare(training_settings(lock.recipe), training_settings(now.recipe))),
            Check(name="base model", differences=_compare(_model_files(lock), _model_files(now))),
            Check(name="data", differences=_compare(_hashes(lock.data, files), _hashes(now.data, files))),
            *_check_environment(lock),
            *_compare_runs(run, lock, locked, repeated),
        ]
    result = Replay(equal=all(c.equal for c in checks if c.decides), trained=True, checks=checks)
    write_atomically(run.replay, result.model_dump_json(indent=2) + "\n")
    return result


def _model_files(lock: Lock) -> dict[str, Any]:
    return {key: lock.model.get(key) for key in ("sha256", "files")} | {"teachers": teacher_hashes(lock.model)}


def _check_inputs(lock: Lock, setup: TrainingSetup, run: Run) -> list[Check]:
    now = setup.to_record(run.root)
    was: dict[str, Any] = {"recipe": lock.recipe, "model": lock.model, "data": lock.data}
    recipes = [training_settings(record["recipe"]) for record in (was, now)]
    files = {"sha256": now["model"]["sha256"], "files": setup.base.files(), "teachers": teacher_hashes(now["model"])}
    data = [_hashes(record["data"], now["data"]["files"]) for record in (was, now)]
    return [
        Check(name="recipe", differences=_compare(recipes[0], recipes[1])),
        Check(name="base model", differences=_compare(_model_files(lock), files)),
        Check(name="data", differences=_compare(data[0], data[1])),
        *_check_extensions(lock, setup.extensions),
    ]


def _check_extensions(lock: Lock, now: Records) -> list[Check]:
    """Nothing where there are none."""
    used = lock.extensions or now
    return [Check(name="extensions", differences=_compare(lock.extensions, now))] if used else []


def _hashes(data: dict[str, Any], names: dict[str, Any]) -> dict[str, str]:
    """The sha256 values, by role and present name."""
    return {
        **{f"data.{role} ({names.get(role, file)['name']})": file["sha256"] for role, file in data["files"].items()},
        **{f"{name} rows": split["sha256"] for name, split in data["splits"].items()},
    }


def _check_environment(lock: Lock) -> list[Check]:
    was, now = lock.environment, Environment.here()
    # training sets the threads to the lock's
    machines = [{**each.hardware, "threads": lock.threads, "tuneship's sources": each.sources} for each in (was, now)]
    resumed = [f"the run was resumed with {change}" for change in lock.resumed]
    return [
        Check(name="versions", differences=_compare(was.versions, now.versions)),
        Check(name="machine", differences=[*_compare(machines[0], machines[1]), *resumed], decides=False),
    ]


def _repeat(
    run: Run,
    lock: Lock,
    result: Result,
    recipe: Recipe,
    output: Path | None,
    console: Console | None,
    callbacks: Sequence[TrainerCallback],
) -> list[Check]:
    training = recipe.training.model_copy(update={"report_to": (), **_in_these_processes(lock, recipe)})
    silent = recipe.model_copy(update={"training": training})
    with _output_folder(output) as folder:
        repeated = train(silent, folder, threads=lock.threads, console=console, callbacks=callbacks)
        return from_first(lambda: _compare_runs(run, lock, result, repeated))


def _in_these_processes(lock: Lock, recipe: Recipe) -> dict[str, Any]:
    """The settings by which these make the steps of the lock's processes, to rounding; raises InputError."""
    processes, training = lock.environment.hardware.get("processes", 1), recipe.training
    if processes == count():
        return {}
    batches, rest = divmod(training.gradient_accumulation_steps * processes, count())
    if rest:
        raise InputError(
            f"{processes} processes have trained the run, and {count()} cannot share its steps; start as many, or one"
        )
    return {"gradient_accumulation_steps": batches, "fsdp": training.fsdp and count() > 1}


def _compare_runs(run: Run, lock: Lock, result: Result, repeated: Run) -> list[Check]:
    metrics = repeated.read_record()["metrics"]
    return [
        Check(name="files", differences=changes_since(lock, run)),
        Check(name="metrics", differences=_compare(result.metrics, metrics, LOCKED, REPEATED)),
        Check(name="weights", differences=_compare_weights(result.weights, run, repeated)),
    ]


@contextlib.contextmanager
def _output_folder(output: Path | None) -> Iterator[Path]:
    if output is not None:
        if Run(output).record.exists() and Run(output).status() != RUNNING:
            raise InputError(f"{output}: holds a run already; give --output a new folder")
        yield output
        return
    with contextlib.ExitStack() as stack:
        yield Path(from_first(lambda: stack.enter_context(_temporary_folder()))) / "run"


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tuneship-replay-")


def _compare_weights(locked: dict[str, str], run: Run, repeated: Run) -> list[str]:
    hashes = weight_hashes(repeated)
    return [
        differences(locked.get(name), hashes.get(name), name, (LOCKED, REPEATED))[0]
        + _distance(run.checkpoint / name, repeated.checkpoint / name)
        for name in dict.fromkeys([*locked, *hashes])
        if locked.get(name) != hashes.get(name)
    ]


def _distance(first: Path, second: Path) -> str:
    if not (first.is_file() and second.is_file()):
        return ""
    old, new = load_file(first), load_file(second)
    distances = {key: _largest_change(old[key], new[key]) for key in old if key in new}
    changed = {key: value for key, value in distances.items() if value}
    if not changed:
        return ""
    worst = max(changed, key=lambda key: changed[key])
    return f"; {len(changed)} of {len(old)} tensors differ, the most by {changed[worst]:.3g} ({worst})"


def _largest_change(old: torch.Tensor, new: torch.Tensor) -> float:
    return float((old.float() - new.float()).abs().max()) if old.shape == new.shape and old.numel() else 0.0


def _compare(old: Any, new: Any, was: str = LOCKED, now: str = NOW) -> list[str]:
    return differences(old, new, words=(was, now))
