"""Rows without labels, of ``export``, ``distil`` or ``few_shot``: read as those of ``data``, and told of as early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from stores.data import local_file
from trainer.data.problems import REMEDY
from trainer.data.readers import options_for, read_file
from trainer.data.rows import Rows, same_text
from trainer.setup.sources import InputCheck, read_options, usable_inputs
from trainer.tasks.row_reader import RowReader

KEY = "export.rows"


@dataclass(frozen=True)
class UnlabelledRows:
    """Attributes:
    key: of the recipe, which names their file.
    rows: without repeated ones, and those that are known.
    count: of the file.
    """

    key: str
    rows: Rows
    sha256: str
    count: int


def read_unlabelled(
    reader: RowReader, check: InputCheck, evaluation: Rows, files: Mapping[str, Mapping[str, Any]]
) -> UnlabelledRows | None:
    """None if the recipe names no such rows; raises InputError.

    Args:
        evaluation: the test rows.
        files: the ``sha256`` of each file that the run is made with, by role.
    """
    if reader.recipe.export.rows is None:
        return None
    found = read_further_rows(reader, check, [evaluation], KEY, reader.recipe.export.rows)
    for role, file in files.items():
        if file.get("sha256") == found.sha256:
            raise InputError(
                f"{KEY}: {found.rows.name} is the run's own data.{role}; give rows that it has not seen", field=KEY
            )
    return found


def read_further_rows(
    reader: RowReader, check: InputCheck, known_rows: Sequence[Rows], key: str, name: str
) -> UnlabelledRows:
    """Those of a file that ``known_rows`` do not have; ``key`` of the recipe names it. Raises InputError."""
    path = local_file(name)
    inputs = _read_inputs(reader, check, path, key)
    known = {same_text(each) for rows in known_rows for each in rows.inputs}
    fresh = list({same_text(each): each for each in inputs if same_text(each) not in known}.values())
    if not fresh:
        where = "test rows" if key == KEY else "rows of data"
        raise InputError(f"{key}: every row of {path.name} is among the {where}; give others", field=key)
    rows = Rows(path.name, fresh, [None] * len(fresh), list(range(1, len(fresh) + 1)), [""] * len(fresh))
    return UnlabelledRows(key, rows, sha256_of(path), len(inputs))


def _read_inputs(reader: RowReader, check: InputCheck, path: Path, key: str) -> list[Any]:
    options = read_options(reader.data)
    try:
        known = options_for(path)
        table = read_file(path, options._replace(**{name: None for name in options._fields if name not in known}))
        numbers, inputs = reader.inputs(table)
    except InputError as error:
        raise InputError(f"{key}: {error}", field=key) from error
    usable = usable_inputs(check, inputs, numbers, table.problems)
    if reader.data.unusable_rows == "refuse" and len(table.problems):
        raise InputError(f"{key}: {table.problems.message(table.name)}\n{REMEDY}", field=key)
    if not usable:
        raise InputError(f"{key}: {path.name}: no row can be used", field=key)
    return [inputs[at] for at in usable]
