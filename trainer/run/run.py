"""The run folder."""

from __future__ import annotations

import json
import math
import shutil
from itertools import accumulate
from pathlib import Path
from typing import Any

from serving.errors import InputError
from serving.files import TEMPORARY, nearest_path, replace_file
from trainer.data.rows import Rows
from trainer.data.table import text_of
from trainer.recipe.recipe import RECORD, complete_mapping
from trainer.recipe.training import WITHOUT_WEIGHTS
from trainer.run.folder_lock import LOCK_FILE
from trainer.run.records import read_record

RUNNING, FINISHED = "running", "finished"
AFTERWARDS = ("export", "card", "search")
"""The sections of a recipe on which no weight depends."""
DISTIL_ROWS, FEW_SHOT_ROWS = "distil.rows", "few_shot.rows"
"""The role of rows without labels, among a run's files."""
TOTAL_BATCH = "rows a step"
_MOST_CHARACTERS = 40
_COMPARED_OTHERWISE = ("model", "data", "distil", "few_shot")
"""The sections that name files: their hashes are compared."""


class Run:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.record = root / RECORD  # what happened
        self.recipe = root / "recipe.yaml"  # resolved
        self.evaluation = root / "evaluation.jsonl"  # the test rows
        self.teacher = root / "teacher.jsonl"  # a student's: the teacher's answers to the test rows
        self.folds = root / "folds.jsonl"  # cross-validation's answers, where the recipe asks for folds
        self.report = root / "report.md"
        self.page = root / "report.html"  # the same for a browser, with its figures inside
        self.lock = root / "lock.json"  # what the weights depend on, and their hashes
        self.replay = root / "replay.json"  # the comparison of the last repetition
        self.checkpoint = root / "checkpoint"  # the best one
        self.figures = root / "figures"  # the report's
        self.tracking = root / "tracking"  # what trackers without a server keep
        self.state = root / "state"  # Trainer's own, while the run is not finished
        self.uploading = root / "uploading"  # states on their way to another place

    @classmethod
    def open(cls, path: Path) -> Run:
        """Raises InputError where it is not finished."""
        run = cls(path)
        if not path.is_dir():
            made, meant = f"make one by tuneship train RECIPE --output {path}", nearest_path(path)
            raise InputError(f"{path}: there is no such run folder; {made}{meant}")
        if run.status() == RUNNING:
            raise InputError(f"{path}: the run is not finished; run its train command again to resume it")
        needed = (run.record, run.recipe, run.checkpoint / "config.json", run.evaluation)
        missing = [str(file.relative_to(path)) for file in needed if not file.is_file()]
        if missing or run.status() != FINISHED:
            problem = f"lacks {', '.join(missing)}" if missing else "run.json is not that of a run"
            if (path / "config.json").is_file() and not run.record.is_file():
                raise InputError(
                    f"{path}: is a model, and no run; make one by tuneship import {path} --rows FILE --output RUN"
                )
            raise InputError(f"{path}: is no finished run ({problem}); give the --output folder of tuneship train")
        return run

    def __repr__(self) -> str:
        return f"<Run {self.root}: {self.status() or 'not begun'}>"

    def status(self) -> str | None:
        """RUNNING, FINISHED, or None."""
        try:
            status = self.read_record()["status"]
        except InputError:
            return None
        return status if status in (RUNNING, FINISHED) else None

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures of a finished run's test rows, as the report has them."""
        metrics: dict[str, Any] = self.read_record()["metrics"]["test"]
        return metrics

    def read_record(self) -> dict[str, Any]:
        """Raises InputError."""
        return read_record(self.record, FINISHED)

    def write_record(self, record: dict[str, Any]) -> None:
        write_atomically(self.record, format_record(record))

    def read_evaluation(self) -> Rows:
        """The test rows; raises InputError."""
        lines = text_of(self.evaluation).split("\n")
        rows = [self._read_row(number, line) for number, line in enumerate(lines, 1) if line]
        inputs, targets = ([row[at] for row in rows] for at in (0, 1))
        return Rows(self.evaluation.name, inputs, targets, list(range(1, len(rows) + 1)), [""] * len(rows))

    def read_teacher_answers(self) -> list[Any] | None:
        """To the test rows, of a student's teacher; None where there is none. Raises InputError."""
        if not self.teacher.is_file():
            return None
        try:
            return [json.loads(line) for line in text_of(self.teacher).splitlines()]
        except (ValueError, RecursionError):
            raise InputError(f"{self.teacher}: has no JSON lines; restore the file, or train the run again") from None

    def read_test_sets(self) -> dict[str, range]:
        """The places among the test rows of each named test set; empty where there is one set."""
        rows = [(name, int(figures["rows"])) for name, figures in self.read_record().get("test_sets", {}).items()]
        ends = list(accumulate(count for _, count in rows))
        return {name: range(end - count, end) for (name, count), end in zip(rows, ends, strict=True)}

    def _read_row(self, number: int, line: str) -> tuple[Any, Any]:
        try:
            row = json.loads(line)
            return row["inputs"], row["target"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise InputError(
                f'{self.evaluation}, row {number}: is no row {{"inputs": …, "target": …}}; restore the file, or train'
                " the run again"
            ) from None

    def clear(self) -> None:
        """Remove the run's own files only."""
        self.remove_temporary()
        files = (
            self.record,
            self.recipe,
            self.evaluation,
            self.teacher,
            self.folds,
            self.report,
            self.page,
            self.lock,
            self.replay,
        )
        for file in files:
            file.unlink(missing_ok=True)
        for folder in (self.state, self.checkpoint, self.figures, self.tracking, self.root / "checkpoint.partial"):
            shutil.rmtree(folder, ignore_errors=True)

    def remove_temporary(self) -> None:
        """What a killed process was writing."""
        for file in (*self.root.glob(TEMPORARY), *self.figures.glob(TEMPORARY)):
            file.unlink()
        shutil.rmtree(self.uploading, ignore_errors=True)


def answer_to_json(vectors: Any) -> Any:
    """An answer that is an array, for `json.dumps`."""
    return vectors.tolist()


def format_record(record: dict[str, Any]) -> str:
    """run.json's text."""
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def differences(old: Any, new: Any, key: str = "", words: tuple[str, str] = ("there", "now")) -> list[str]:
    """A line for each, such as ``training.seed: 0 there, 7 now``."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = list(dict.fromkeys([*old, *new]))
        keys = {name: f"{key}.{name}".strip(".") for name in names}
        return [line for name in names for line in differences(old.get(name), new.get(name), keys[name], words)]
    return [] if old == new else [f"{key}: {_format(old)} {words[0]}, {_format(new)} {words[1]}"]


def _format(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_CHARACTERS else text[:12] + "…"


def write_atomically(path: Path, text: str) -> None:
    """After a crash ``path`` holds the old text or the new one."""
    with replace_file(path) as file:
        file.write(text.encode())


def claim(run: Run, setup: dict[str, Any], overwrite: bool) -> str | None:
    """Prepare the folder for a run; ``setup`` is the part of its record known before training.

    Returns the status before. Raises InputError, with nothing touched, where the folder holds something else.
    """
    status = check_folder(run)
    if status and overwrite:
        run.clear()
        status = None
    if status:
        _require_same(run, setup)
        run.remove_temporary()
        return status
    run.root.mkdir(parents=True, exist_ok=True)
    run.write_record({"status": RUNNING, **setup})
    return None


def check_folder(run: Run) -> str | None:
    """The status; raises InputError where the folder is neither new, empty nor a run's."""
    root = run.root
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file; give --output a folder that is new, empty or a run's")
    status = run.status()
    paths = root.iterdir() if status is None and root.is_dir() else ()
    if others := sorted(path.name for path in paths if path.name != LOCK_FILE and not path.match(TEMPORARY)):
        raise InputError(f"{root}: holds something else than a run ({', '.join(others[:3])}); give another --output")
    return status


def training_settings(recipe: dict[str, Any]) -> dict[str, Any]:
    """A resolved recipe without export, card, file paths and what has hashes: base model and rows."""
    settings = {key: value for key, value in comparable({"recipe": recipe}).items() if key != "model"}
    return {**settings, "data": {key: value for key, value in settings["data"].items() if key != "rows"}}


def changes_between(record: dict[str, Any], setup: dict[str, Any]) -> list[str]:
    """A line for each difference of recipe or data between a run's record and a setup's."""
    return differences(comparable(record), comparable(setup))


def _require_same(run: Run, setup: dict[str, Any]) -> None:
    was, now = (_with_total_batch(record) for record in (run.read_record(), setup))
    if changes := differences(was, now):
        more = now["training"].get("num_train_epochs", 0) - was["training"].get("num_train_epochs", 0)
        if len(changes) == 1 and more > 0 and run.status() == FINISHED:
            raise InputError(
                f"{run.root}: is finished ({changes[0]}), and a finished run is never changed. To train it on for"
                f" {more} more, with a learning-rate schedule of their own, begin at its checkpoint, whose head goes"
                f" on: tuneship train RECIPE --set model={run.checkpoint.resolve()}"
                f" --set training.num_train_epochs={more} --output ANOTHER"
            )
        if any(TOTAL_BATCH in change for change in changes):
            raise InputError(
                f"{run.root}: goes on with as many rows a step as it began with ({'; '.join(changes[:3])}): that is"
                " training.per_device_train_batch_size × training.gradient_accumulation_steps × processes; change one"
                " of them, or give another --output"
            )
        raise InputError(
            f"{run.root}: holds a run of another recipe or other data ({'; '.join(changes[:3])});"
            " give another --output, or --overwrite to replace it"
        )


def _with_total_batch(record: dict[str, Any]) -> dict[str, Any]:
    """In how many batches and processes a step is computed may change: its rows stay the same."""
    found = comparable(record)
    training = found.get("training", {})
    if not (factors := batch_sizes(training)):
        return found
    rest = {name: value for name, value in training.items() if name not in factors}
    return found | {"training": rest | {TOTAL_BATCH: math.prod(factors.values()) * record.get("processes", 1)}}


def batch_sizes(training: dict[str, Any]) -> dict[str, int]:
    """Of one process; empty where nothing is trained by steps."""
    names = ("per_device_train_batch_size", "gradient_accumulation_steps")
    return {name: training[name] for name in names if name in training}


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """What makes two runs the same: no file paths, and nothing about exports and searches."""
    recipe = complete_mapping(record.get("recipe", {}))
    data = {
        key: _without_paths(value) for key, value in recipe.get("data", {}).items() if not _is_path(key, value, recipe)
    }
    splits = record.get("data", {}).get("splits", {})
    training = {"training": _acting(recipe["training"])} if "training" in recipe else {}
    distil = {key: value for key, value in recipe.get("distil", {}).items() if key not in ("teacher", "rows")}
    few_shot = {key: value for key, value in recipe.get("few_shot", {}).items() if key != "rows"}
    return {
        **{key: value for key, value in recipe.items() if key not in (*_COMPARED_OTHERWISE, *AFTERWARDS)},
        **training,
        **({"distil": distil | digests_of(record)} if distil else {}),
        **({"few_shot": few_shot | {"rows": _sha256_of(record, FEW_SHOT_ROWS)}} if few_shot else {}),
        "model": record.get("model", {}).get("sha256"),
        "data": {**data, "rows": {name: split.get("sha256") for name, split in splits.items()}},
    }


def _acting(training: dict[str, Any]) -> dict[str, Any]:
    """Without what changes no weight."""
    return {key: value for key, value in training.items() if key not in WITHOUT_WEIGHTS}


def digests_of(record: dict[str, Any]) -> dict[str, Any]:
    """What a student has learned from: the sha256 of each teacher's lock, and of its rows without labels."""
    return {"teachers": teacher_hashes(record.get("model", {})), "rows": _sha256_of(record, DISTIL_ROWS)}


def _sha256_of(record: dict[str, Any], role: str) -> str | None:
    sha256: str | None = record.get("data", {}).get("files", {}).get(role, {}).get("sha256")
    return sha256


def teacher_hashes(model: dict[str, Any]) -> list[str]:
    """The sha256 of each teacher's lock."""
    return [each["sha256"] for each in model.get("teachers", [])]


def _without_paths(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: "a file" if isinstance(each, str) else each for key, each in value.items()}


def _is_path(key: str, value: Any, recipe: dict[str, Any]) -> bool:
    return (
        key in ("train", "test", "validation", "label_names")
        and isinstance(value, (str, list))
        and "dataset" not in recipe["data"]
    )
