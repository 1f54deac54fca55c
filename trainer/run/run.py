"""The run folder: its files, how it is claimed for training, and how a finished one is opened."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import InputError
from trainer.data.rows import Rows
from trainer.run.diff import differences
from trainer.run.folder_lock import LOCK_FILE

RUNNING, FINISHED = "running", "finished"


@dataclass(frozen=True)
class Run:
    """A run folder's files.

    ``state`` is Trainer's own and there only while the run is not finished.
    """

    root: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.root / "recipe.yaml"

    @property
    def record(self) -> Path:
        """run.json: what happened."""
        return self.root / "run.json"

    @property
    def checkpoint(self) -> Path:
        """The folder of the best checkpoint: safetensors and JSON."""
        return self.root / "checkpoint"

    @property
    def evaluation(self) -> Path:
        """The held-out test rows, JSON lines."""
        return self.root / "evaluation.jsonl"

    @property
    def report(self) -> Path:
        """The report, Markdown."""
        return self.root / "report.md"

    @property
    def figures(self) -> Path:
        """The folder of the report's figures."""
        return self.root / "figures"

    @property
    def lock(self) -> Path:
        """lock.json: what the weights depend on, and their hashes."""
        return self.root / "lock.json"

    @property
    def replay(self) -> Path:
        """replay.json: how the run's last repetition compared."""
        return self.root / "replay.json"

    @property
    def state(self) -> Path:
        """The folder of what an interrupted run resumes from."""
        return self.root / "state"

    @classmethod
    def open(cls, path: Path) -> Run:
        """The finished run at ``path``; raises InputError that says what is missing and what to do."""
        run = cls(path)
        if not path.is_dir():
            raise InputError(f"{path}: there is no such run folder; make one by tuneship train RECIPE --output {path}")
        if run.status() == RUNNING:
            raise InputError(f"{path}: the run is not finished; run its train command again to go on with it")
        needed = (run.record, run.recipe, run.checkpoint / "config.json", run.evaluation)
        missing = [str(file.relative_to(path)) for file in needed if not file.exists()]
        if missing or run.status() != FINISHED:
            lack = f"lacks {', '.join(missing)}" if missing else "run.json is not that of a run"
            raise InputError(f"{path}: is no finished run ({lack}); give the --output folder of tuneship train")
        return run

    def status(self) -> str | None:
        """running, finished, or None where the folder holds no run."""
        try:
            found = self.read_record().get("status")
        except (OSError, ValueError, AttributeError):
            return None
        return found if found in (RUNNING, FINISHED) else None

    def read_record(self) -> dict[str, Any]:
        """run.json's content."""
        record: dict[str, Any] = json.loads(self.record.read_text(encoding="utf-8"))
        return record

    def write_record(self, record: dict[str, Any]) -> None:
        """Replace run.json in one step."""
        write_atomically(self.record, json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def read_evaluation(self) -> Rows:
        """The held-out test rows, in order."""
        lines = self.evaluation.read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in lines if line]
        numbers = list(range(1, len(rows) + 1))
        return Rows(
            self.evaluation.name,
            [row["inputs"] for row in rows],
            [row["target"] for row in rows],
            numbers,
            [""] * len(rows),
        )

    def clear(self) -> None:
        """Remove the run's own files, and nothing else."""
        self.record.unlink(missing_ok=True)
        for file in (self.recipe, self.evaluation, self.report, self.lock, self.replay):
            file.unlink(missing_ok=True)
        for folder in (self.state, self.checkpoint, self.figures, self.root / "checkpoint.partial"):
            shutil.rmtree(folder, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """``path`` holds ``text``, or what it held before; never a part of it."""
    aside = _aside(path)
    with aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def claim(run: Run, intent: dict[str, Any], overwrite: bool) -> str | None:
    """Make the folder ready for the run that ``intent`` (recipe, labels, data) describes.

    Returns the status found: None for a fresh start, ``running`` to resume, or ``finished``.
    Raises InputError, with nothing touched, where the folder holds something else than this run.
    """
    found = usable(run)
    if found and overwrite:
        run.clear()
        found = None
    if found:
        _require_same(run, intent)
        return found
    run.root.mkdir(parents=True, exist_ok=True)
    run.write_record({"status": RUNNING, **intent})
    return None


def usable(run: Run) -> str | None:
    """The folder's status; raises InputError, with nothing touched, where it is no place for a run."""
    root = run.root
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file; give --output a folder that is new, empty or a run's")
    found = run.status()
    there = {path.name for path in root.iterdir()} if found is None and root.is_dir() else set()
    if others := sorted(there - {_aside(run.record).name, LOCK_FILE}):
        names = ", ".join(others[:3])
        raise InputError(f"{root}: holds something else than a run ({names}); give another --output")
    return found


def _require_same(run: Run, intent: dict[str, Any]) -> None:
    record = run.read_record()
    differing = differences(comparable(record), comparable(intent))
    if differing:
        shown = "; ".join(differing[:3])
        raise InputError(
            f"{run.root}: holds a run of another recipe or other data ({shown});"
            " give another --output, or --overwrite to replace it"
        )


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """What makes two runs the same: the rows themselves, wherever their files lie; not what is about exports alone."""
    recipe = record.get("recipe", {})
    known = recipe.get("data", {}).items()
    data = {key: _without_paths(value) for key, value in known if not _is_path(key, value, recipe)}
    splits = record.get("data", {}).get("splits", {})
    return {
        **{key: value for key, value in recipe.items() if key not in ("model", "data", "export", "card")},
        "model": record.get("model", {}).get("sha256"),
        "data": {**data, "rows": {name: split.get("sha256") for name, split in splits.items()}},
    }


def _without_paths(value: Any) -> Any:
    """Of named files the names count."""
    if not isinstance(value, dict):
        return value
    return {key: "a file" if isinstance(each, str) else each for key, each in value.items()}


def _is_path(key: str, value: Any, recipe: dict[str, Any]) -> bool:
    return (
        key in ("train", "test", "validation", "label_names")
        and isinstance(value, (str, list))
        and "dataset" not in recipe["data"]
    )
