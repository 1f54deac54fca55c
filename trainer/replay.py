"""Repeating a run from its lock, and telling what is not as it was: data, versions, figures, weights to the bit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from safetensors.torch import load_file

from serving.errors import InputError
from trainer.recipe.recipe import Recipe, load_recipe
from trainer.run.diff import differences
from trainer.run.lock import Environment, Lock, Result, read_lock, weight_hashes
from trainer.run.run import Run, comparable, write_atomically
from trainer.setup.training_setup import TrainingSetup, prepare_setup
from trainer.train import train

LOCKED, NOW = "in the lock", "now"
REPEATED = "when repeated"


class Check(BaseModel):
    """One thing that was compared; ``differences`` are in words, none where all is equal."""

    model_config = ConfigDict(frozen=True)

    name: Literal["recipe", "base model", "data", "versions", "machine", "checkpoint", "metrics", "weights"]
    differences: list[str]
    decides: bool = True

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


class Replay(BaseModel):
    """What replay.json holds.

    Attributes:
        equal: whether nothing that decides differs. The machine does not: it explains why weights differ.
        trained: False where recipe, base model or data differ already, so that repeating would tell nothing.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    equal: bool
    trained: bool
    checks: list[Check]


def replay(
    run_folder: Path, output: Path | None = None, overrides: list[str] | None = None, console: Console | None = None
) -> Replay:
    """Repeat a finished run from its lock, with its number of threads, and compare; replay.json is written into it.

    ``output`` keeps the repeated run, which else is removed. ``overrides`` say where data or model lie now.
    Raises InputError for a run without a lock, for data that cannot be read, and for an ``output`` that is no new one.
    """
    run = Run.open(run_folder)
    lock = read_lock(run)
    if lock.result is None:
        raise InputError(f"{run.root}: its {run.lock.name} has no result; run its train command again to finish it")
    setup = prepare_setup(load_recipe(run.recipe, overrides or []), run.root)
    before = [*_inputs(lock, setup, run), *_environment(lock)]
    repeatable = all(check.equal for check in before if check.name in ("recipe", "base model", "data"))
    after = _repeated(run, lock, lock.result, setup.recipe, output, console) if repeatable else []
    checks = [*before, *after]
    found = Replay(equal=all(c.equal for c in checks if c.decides), trained=repeatable, checks=checks)
    write_atomically(run.replay, found.model_dump_json(indent=2) + "\n")
    return found


def _inputs(lock: Lock, setup: TrainingSetup, run: Run) -> list[Check]:
    """What went in: the recipe but for its paths, the base model's files, the data's files and rows."""
    now = setup.to_record(run.root)
    was: dict[str, Any] = {"recipe": lock.recipe, "model": lock.model, "data": lock.data}
    recipes = [_without_inputs(comparable(facts)) for facts in (was, now)]
    files = {"sha256": now["model"]["sha256"], "files": setup.base.files()}  # wherever they come from now
    data = [_hashes(facts["data"], now["data"]["files"]) for facts in (was, now)]
    return [
        Check(name="recipe", differences=_told(recipes[0], recipes[1])),
        Check(name="base model", differences=_told({key: lock.model.get(key) for key in files}, files)),
        Check(name="data", differences=_told(data[0], data[1])),
    ]


def _without_inputs(recipe: dict[str, Any]) -> dict[str, Any]:
    """Base model and rows have checks of their own."""
    settings = {key: value for key, value in recipe.items() if key != "model"}
    return {**settings, "data": {key: value for key, value in recipe["data"].items() if key != "rows"}}


def _hashes(data: dict[str, Any], names: dict[str, Any]) -> dict[str, str]:
    """The sha256 of each file, called by its role and what it is called now, and of each set of rows."""
    called = {role: f"data.{role} ({names.get(role, file)['name']})" for role, file in data["files"].items()}
    return {
        **{called[role]: file["sha256"] for role, file in data["files"].items()},
        **{f"{name} rows": facts["sha256"] for name, facts in data["splits"].items()},
    }


def _environment(lock: Lock) -> list[Check]:
    was, now = lock.environment, Environment.here()
    # the threads are set to the lock's: those of this process do not matter
    machines = [{**each.hardware, "threads": lock.threads} for each in (was, now)]
    explained = [
        *_told(machines[0], machines[1]),
        *_told({"tuneship's sources": was.sources}, {"tuneship's sources": now.sources}),
    ]
    resumed = [f"the run itself went on after an interruption with {each}" for each in lock.resumed]
    return [
        Check(name="versions", differences=_told(was.versions, now.versions)),
        Check(name="machine", differences=[*explained, *resumed], decides=False),
    ]


def _repeated(
    run: Run, lock: Lock, result: Result, recipe: Recipe, output: Path | None, console: Console | None
) -> list[Check]:
    kept = _told(result.weights, weight_hashes(run), LOCKED, "in the run's folder")
    with _folder(output) as folder:
        again = train(recipe, folder, threads=lock.threads, console=console)
        figures = again.read_record()["metrics"]
        return [
            Check(name="checkpoint", differences=kept),
            Check(name="metrics", differences=_told(result.metrics, figures, LOCKED, REPEATED)),
            Check(name="weights", differences=_weights(result.weights, run, again)),
        ]


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    if output is not None:
        if Run(output).record.exists():
            raise InputError(f"{output}: holds a run already, which repeats nothing; give --output a new folder")
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="tuneship-replay-") as folder:
        yield Path(folder) / "run"


def _weights(locked: dict[str, str], run: Run, again: Run) -> list[str]:
    """A line a file that is not the same to the bit; how far its numbers are apart, where the first ones are there."""
    found = weight_hashes(again)
    told = []
    for name in dict.fromkeys([*locked, *found]):
        if locked.get(name) != found.get(name):
            line = differences(locked.get(name), found.get(name), name, (LOCKED, REPEATED))[0]
            told.append(line + _distance(run.checkpoint / name, again.checkpoint / name))
    return told


def _distance(first: Path, second: Path) -> str:
    if not (first.is_file() and second.is_file()):
        return ""
    old, new = load_file(first), load_file(second)
    apart = {key: _largest(old[key], new[key]) for key in old if key in new}
    changed = {key: value for key, value in apart.items() if value}
    if not changed:
        return ""
    worst = max(changed, key=lambda key: changed[key])
    return f"; {len(changed)} of {len(old)} tensors differ, the most by {changed[worst]:.3g} ({worst})"


def _largest(old: torch.Tensor, new: torch.Tensor) -> float:
    return float((old.float() - new.float()).abs().max()) if old.shape == new.shape and old.numel() else 0.0


def _told(old: Any, new: Any, was: str = LOCKED, now: str = NOW) -> list[str]:
    return differences(old, new, words=(was, now))
