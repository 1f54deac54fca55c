"""What run.json must hold for resuming and exporting; more is free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from serving.errors import InputError, first_problem
from serving.files import read_regular

MOST_BYTES = 2**28


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Counted(_Part):
    rows: int


class _Split(_Counted):
    sha256: str


class DataRecord(_Part):
    splits: dict[str, _Split]
    files: dict[str, dict[str, Any]] = {}


class RecipeRecord(_Part):
    data: dict[str, Any]
    training: dict[str, Any] = {}


class _Base(_Part):
    sha256: str


class SetupRecord(_Part):
    """Of a run that is not finished."""

    task: str
    labels: list[str]
    model: _Base
    recipe: RecipeRecord
    data: DataRecord


class _Metrics(_Part):
    test: dict[str, Any]


class FinishedRecord(SetupRecord):
    metrics: _Metrics
    test_sets: dict[str, _Counted] = {}
    best_step: int | None
    warnings: list[str]
    seconds: dict[str, float]
    versions: dict[str, str]
    hardware: dict[str, Any]


def read_record(path: Path, finished: str) -> dict[str, Any]:
    """A run's record, whose ``status`` says whether it is ``finished``; raises InputError."""
    try:
        record: dict[str, Any] = json.loads(read_regular(path, MOST_BYTES).decode("utf-8"))
        kind = FinishedRecord if record["status"] == finished else SetupRecord
        kind.model_validate(record)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise InputError(
            f"{path}: is no record of a run ({problem}); restore the file, or train the run again"
        ) from None
    return record
