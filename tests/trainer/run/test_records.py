"""A run's files that strangers made are refused in words, by every command that reads them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from tests.trainer.conftest import MakeRecipe, fit
from trainer.run.lock import read_lock, require_locked, weight_hashes
from trainer.run.run import Run

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def own_run(tiny_run: Run, tmp_path: Path) -> Run:
    """A copy of the tiny run that a test may change."""
    return Run(shutil.copytree(tiny_run.root, tmp_path / "run"))


def rewrite(path: Path, change: Change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


RECORDS: dict[str, Change] = {
    "no task": lambda record: record.pop("task"),
    "labels that are a number": lambda record: record.update(labels=3),
    "a model that is a text": lambda record: record.update(model="a"),
    "a recipe that is a list": lambda record: record.update(recipe=[]),
    "data that are a number": lambda record: record["recipe"].update(data=7),
    "splits that are a list": lambda record: record["data"].update(splits=[]),
    "rows in words": lambda record: record["data"]["splits"]["test"].update(rows="many"),
    "metrics that are a list": lambda record: record.update(metrics=[]),
    "test sets without rows": lambda record: record.update(test_sets={"a": {}}),
    "no step": lambda record: record.pop("best_step"),
    "warnings that are a text": lambda record: record.update(warnings="none"),
    "versions that are numbers": lambda record: record.update(versions={"torch": 2}),
}


@pytest.mark.parametrize("name", RECORDS)
def test_records(own_run: Run, toy: MakeRecipe, name: str) -> None:
    """A record of other types is none: neither exported nor taken for a run that training may go on with."""
    rewrite(own_run.record, RECORDS[name])
    with pytest.raises(InputError, match=r"is no finished run \(run\.json is not that of a run"):
        Run.open(own_run.root)
    with pytest.raises(InputError, match=r"run\.json: is no record of a run \(.*restore the file"):
        own_run.read_record()
    with pytest.raises(InputError, match="holds something else than a run"):
        fit(toy(), own_run.root)


LOCKS: dict[str, tuple[Change, str]] = {
    "no test rows": (lambda lock: lock["data"]["splits"].pop("test"), "data: has no split test"),
    "data that are a number": (lambda lock: lock.update(data=3), "data: "),
    "rows in words": (lambda lock: lock["data"]["splits"]["test"].update(rows="many"), "rows"),
    "a recipe without data": (lambda lock: lock["recipe"].pop("data"), "data"),
    "no threads": (lambda lock: lock["environment"]["hardware"].pop("threads"), "threads is no number from 1"),
    "half a thread": (lambda lock: lock["environment"]["hardware"].update(threads=1.5), "threads is no number"),
    "too many threads": (lambda lock: lock["environment"]["hardware"].update(threads=10**9), "threads is no number"),
}


@pytest.mark.parametrize("name", LOCKS)
def test_locks(own_run: Run, name: str) -> None:
    """A lock of other types is none."""
    change, told = LOCKS[name]
    rewrite(own_run.lock, change)
    with pytest.raises(InputError, match=rf"lock\.json: .*{told}.*; restore the file"):
        require_locked(own_run)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "\xff", "[" * 10**5, '{"status": "finished", "task": ' + "9" * 5000 + "}"]
)
def test_texts(own_run: Run, text: str) -> None:
    """Neither is what is no JSON object."""
    own_run.lock.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"lock\.json"):
        read_lock(own_run)
    own_run.record.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="is no finished run"):
        Run.open(own_run.root)
    own_run.evaluation.write_text(text or "{", encoding="latin-1")
    with pytest.raises(InputError, match=r"evaluation\.jsonl"):
        own_run.read_evaluation()


@pytest.mark.parametrize("name", ["run.json", "recipe.yaml", "evaluation.jsonl", "checkpoint/config.json"])
def test_pipes(own_run: Run, name: str) -> None:
    """Nor is a pipe waited for."""
    (own_run.root / name).unlink()
    os.mkfifo(own_run.root / name)
    with pytest.raises(InputError, match=rf"is no finished run \(.*{name}"):
        Run.open(own_run.root)


def test_pipes_beside(own_run: Run) -> None:
    """Of the lock and among the weights."""
    own_run.lock.unlink()
    os.mkfifo(own_run.lock)
    with pytest.raises(InputError, match=r"has no lock\.json"):
        read_lock(own_run)
    os.mkfifo(own_run.checkpoint / "more.safetensors")
    assert "more.safetensors" not in weight_hashes(own_run)
