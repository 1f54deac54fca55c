"""lock.json: all that a run's weights depend on, and the weights' own hashes, so that the run can be repeated.

Written when training begins, and again, with what came out, when it ends. Torch's number of threads belongs to it:
sums over rows are cut into as many parts as there are threads, and rounded accordingly.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console

from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from trainer.model.base_model import BaseCheckpoint
from trainer.run import environment as facts
from trainer.run.diff import differences
from trainer.run.run import Run, write_atomically


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Environment(_Part):
    """Where a run was made: library versions, the machine with its threads, a digest of Tuneship's own sources."""

    versions: dict[str, str]
    hardware: dict[str, Any]
    sources: str

    @classmethod
    def here(cls) -> Environment:
        """This process's own."""
        return cls(versions=facts.versions(), hardware=facts.hardware(), sources=facts.sources())


class Result(_Part):
    """What came out: the sha256 of each file of weights, and the figures."""

    weights: dict[str, str]
    metrics: dict[str, Any]


class Lock(_Part):
    """What lock.json holds.

    Attributes:
        recipe: resolved; paths are relative to the run's folder.
        model: id, source, revision, and the sha256 of its weights and of each of its files.
        data: the sha256 of each file, and of each set's rows in order.
        resumed: what had changed of the environment when the run went on after an interruption.
        result: absent while the run is not finished.
    """

    schema_version: Literal[1] = 1
    recipe: dict[str, Any]
    model: dict[str, Any]
    data: dict[str, Any]
    seed: int
    environment: Environment
    resumed: list[str] = []
    result: Result | None = None

    @property
    def threads(self) -> int:
        """Torch's threads."""
        return int(self.environment.hardware["threads"])

    def finished(self, run: Run, metrics: dict[str, Any]) -> Lock:
        """With what came out."""
        return self.model_copy(update={"result": Result(weights=weight_hashes(run), metrics=metrics)})

    def write(self, run: Run) -> None:
        """Replace the run's lock.json in one step."""
        write_atomically(run.lock, self.model_dump_json(indent=2) + "\n")


def read_lock(run: Run) -> Lock:
    """The run's lock; raises InputError where there is none or it cannot be read."""
    if not run.lock.is_file():
        raise InputError(f"{run.root}: has no {run.lock.name}, which training writes; train the run again")
    try:
        return Lock.model_validate_json(run.lock.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{run.lock}: {where}: {first['msg']}; it is not as training wrote it") from None


def weight_hashes(run: Run) -> dict[str, str]:
    """The sha256 of each safetensors file of the checkpoint."""
    return {path.name: sha256_of(path) for path in sorted(run.checkpoint.glob("*.safetensors"))}


@contextlib.contextmanager
def locked_by(
    run: Run, record: dict[str, Any], base: BaseCheckpoint, threads: int | None, console: Console
) -> Iterator[Lock]:
    """The run's lock, made anew or found of a run that goes on, with torch at its number of threads."""
    known = read_lock(run) if run.lock.is_file() else None
    with _threads(known.threads if known else threads or torch.get_num_threads()):
        lock = _gone_on(known, console) if known else _begun(record, base)
        lock.write(run)
        yield lock


def _begun(record: dict[str, Any], base: BaseCheckpoint) -> Lock:
    return Lock(
        recipe=record["recipe"],
        model={**record["model"], "files": base.files()},
        data=record["data"],
        seed=record["recipe"]["training"]["seed"],
        environment=Environment.here(),
    )


def _gone_on(lock: Lock, console: Console) -> Lock:
    """The lock of a run that goes on; what changed meanwhile is told and kept."""
    changed = differences(lock.environment.model_dump(), Environment.here().model_dump())
    if changed:
        console.print(
            f"[yellow]warning[/yellow] going on elsewhere than begun, weights may differ: {'; '.join(changed[:3])}",
            highlight=False,
        )
    return lock.model_copy(update={"resumed": [*lock.resumed, *changed]})


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
