"""lock.json: what a run's weights depend on, and their hashes.

Written when training begins, and again with the result. Torch's number of threads is part of it: sums depend on it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from rich.console import Console

from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from serving.files import read_regular
from trainer.data.rows import hash_rows
from trainer.model.base_model import BaseCheckpoint
from trainer.recipe.recipe import load_recipe
from trainer.run import environment
from trainer.run.extensions import changed_extensions
from trainer.run.records import MOST_BYTES, DataRecord, RecipeRecord
from trainer.run.run import Run, batch_sizes, differences, format_record, training_settings, write_atomically

LOCKED, IN_FOLDER, NOW = "in the lock", "in the folder", "now"
_MOST_CHANGES = 5
_MOST_THREADS = 4096


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Environment(_Record):
    """``sources`` is the sha256 of Tuneship's own."""

    versions: dict[str, str]
    hardware: dict[str, Any]
    sources: str

    @classmethod
    def here(cls) -> Environment:
        return cls(versions=environment.versions(), hardware=environment.hardware(), sources=environment.sources())


class Result(_Record):
    """The sha256 of the checkpoint's ``weights``, and of the run's other ``files``, by path in its folder.

    Locks of earlier versions have weights only. ``privacy`` is what the steps of a private training have spent.
    """

    weights: dict[str, str]
    files: dict[str, str] = {}
    metrics: dict[str, Any]
    privacy: dict[str, Any] | None = None


class Lock(_Record):
    """The content of lock.json.

    Attributes:
        recipe: resolved; paths are relative to the run's folder.
        data: the sha256 of each file and of each split's rows.
        extensions: code of the user's own, by kind and name: distribution, version, sha256 of its source.
        machine: precision and threads, and the timed steps that chose them; None where nothing was measured.
        resumed: changes of the environment at each resumption.
        result: None while the run is not finished.
    """

    schema_version: Literal[1] = 1
    recipe: dict[str, Any]
    model: dict[str, Any]
    data: dict[str, Any]
    extensions: dict[str, dict[str, str]] = Field(default={}, exclude_if=lambda extensions: not extensions)
    seed: int
    environment: Environment
    machine: dict[str, Any] | None = None
    resumed: list[str] = []
    result: Result | None = None

    @model_validator(mode="after")
    def _check_parts(self) -> Lock:
        RecipeRecord.model_validate(self.recipe)
        if "test" not in DataRecord.model_validate(self.data).splits:
            raise ValueError("data: has no split test")
        if type(self.environment.hardware.get("threads")) is not int or not 0 < self.threads <= _MOST_THREADS:
            raise ValueError(f"environment: hardware.threads is no number from 1 to {_MOST_THREADS}")
        return self

    @property
    def threads(self) -> int:
        return int(self.environment.hardware["threads"])

    def with_result(self, run: Run, record: dict[str, Any]) -> Lock:
        """``record`` is what run.json will hold."""
        result = Result(
            weights=weight_hashes(run),
            files=_other_hashes(run, record),
            metrics=record["metrics"],
            privacy=record.get("privacy"),
        )
        return self.model_copy(update={"result": result})

    def write(self, run: Run) -> None:
        write_atomically(run.lock, self.model_dump_json(indent=2) + "\n")


def read_lock(run: Run) -> Lock:
    """Raises InputError."""
    if not run.lock.is_file():
        raise InputError(f"{run.root}: has no {run.lock.name}, which training writes; train the run again")
    try:
        return Lock.model_validate_json(read_regular(run.lock, MOST_BYTES))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{run.lock}: {field}: {first['msg']}; restore the file, or train the run again") from None
    except OSError as error:
        raise InputError(f"{run.lock}: {error.strerror}; restore the file, or train the run again") from None


def weight_hashes(run: Run) -> dict[str, str]:
    """The sha256 of the checkpoint's safetensors files."""
    files = (path for path in sorted(run.checkpoint.glob("*.safetensors")) if path.is_file())
    return {path.name: sha256_of(path) for path in files}


def _other_hashes(run: Run, record: dict[str, Any]) -> dict[str, str]:
    """Of the record, of what else is in the checkpoint, and of a teacher's answers."""
    names = {path.relative_to(run.checkpoint).as_posix() for path in run.checkpoint.rglob("*") if path.is_file()}
    others = sorted(names - set(weight_hashes(run)))
    files = {_in_checkpoint(run, name): sha256_of(run.checkpoint / name) for name in others}
    files |= {run.teacher.name: sha256_of(run.teacher)} if run.teacher.is_file() else {}
    return {run.record.name: hashlib.sha256(format_record(record).encode()).hexdigest(), **files}


def _in_checkpoint(run: Run, name: str) -> str:
    return f"{run.checkpoint.name}/{name}"


def read_result(run: Run) -> tuple[Lock, Result]:
    """The lock of a finished run; raises InputError."""
    lock = read_lock(run)
    if lock.result is None:
        raise InputError(f"{run.root}: its {run.lock.name} has no result; run its train command again to finish it")
    return lock, lock.result


def require_locked(run: Run) -> Lock:
    """The lock; raises InputError unless the run's recipe, rows and files are those of it."""
    lock, _ = read_result(run)
    loaded = load_recipe(run.recipe)
    recipe = {run.recipe.name: training_settings(loaded.to_mapping(run.root))}
    settings = {run.recipe.name: training_settings(lock.recipe)}
    changes = [*differences(settings, recipe, words=(LOCKED, IN_FOLDER)), *changes_since(lock, run)]
    changes += differences(*changed_extensions(loaded, lock.extensions), "extensions", (LOCKED, NOW))
    if changes:
        more = f" and {len(changes) - _MOST_CHANGES} more" if len(changes) > _MOST_CHANGES else ""
        raise InputError(
            f"{run.root}: is not as it was trained: {'; '.join(changes[:_MOST_CHANGES])}{more}."
            " Its figures would not be those of what is served: restore these files, or train it again"
        )
    return lock


def changes_since(lock: Lock, run: Run) -> list[str]:
    """A line for each difference of test rows, record and checkpoint."""
    assert lock.result is not None
    rows, test = run.read_evaluation(), lock.data["splits"]["test"]
    was: dict[str, Any] = {run.evaluation.name: {"rows": test["rows"], "sha256": test["sha256"]}}
    now: dict[str, Any] = {run.evaluation.name: {"rows": len(rows), "sha256": hash_rows(rows)}}
    was |= {_in_checkpoint(run, name): sha256 for name, sha256 in lock.result.weights.items()} | lock.result.files
    now |= {_in_checkpoint(run, name): sha256 for name, sha256 in weight_hashes(run).items()}
    if lock.result.files:
        now |= _other_hashes(run, run.read_record())
    return differences(was, now, words=(LOCKED, IN_FOLDER))


@contextlib.contextmanager
def locked_environment(
    run: Run, record: dict[str, Any], base: BaseCheckpoint, threads: int | None, console: Console
) -> Iterator[Lock]:
    """Write the run's lock, and use its number of threads inside the block."""
    before = read_lock(run) if run.lock.is_file() else None
    with environment.torch_threads(before.threads if before else threads or torch.get_num_threads()):
        lock = _resume(before, record, console) if before else _create(record, base)
        lock.write(run)
        yield lock


def _create(record: dict[str, Any], base: BaseCheckpoint) -> Lock:
    return Lock(
        recipe=record["recipe"],
        model={**record["model"], "files": base.files()},
        data=record["data"],
        extensions=record.get("extensions", {}),
        seed=record["recipe"]["training"]["seed"],
        environment=Environment.here(),
        machine=record.get("machine"),
    )


def _resume(lock: Lock, record: dict[str, Any], console: Console) -> Lock:
    """Steps may be computed in other batches and processes: both are the last ones'."""
    changes = differences(lock.environment.model_dump(), Environment.here().model_dump())
    changes += differences(lock.extensions, record.get("extensions", {}), "extensions")
    was, now = (batch_sizes(recipe.get("training", {})) for recipe in (lock.recipe, record["recipe"]))
    changes += differences(was, now, "training")
    if changes:
        console.print(
            f"[yellow]warning[/yellow] resuming in a different environment; weights may differ: "
            f"{'; '.join(changes[:3])}",
            highlight=False,
        )
    recipe = lock.recipe | ({"training": lock.recipe["training"] | now} if now else {})
    hardware = {name: value for name, value in lock.environment.hardware.items() if name != "processes"}
    hardware |= {name: value for name, value in environment.hardware().items() if name == "processes"}
    machine = lock.environment.model_copy(update={"hardware": hardware})
    update = {"recipe": recipe, "environment": machine, "resumed": [*lock.resumed, *changes]}
    return lock.model_copy(update=update)
