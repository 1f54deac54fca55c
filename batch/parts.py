"""A folder of numbered parts: each is there whole or not at all, with a record beside it that it is done.

``part-00007.jsonl``, its record ``_part-00007.json``, and the plan ``_plan.json``. In a folder of answers the records
give way to ``_manifest.json`` and an empty ``_SUCCESS`` at the end.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from batch import files
from batch.answers import Tally
from batch.plan import Job, Plan
from serving.errors import InputError
from serving.files import TEMPORARY
from serving.tasks.strict_model import StrictModel

PLAN, LOCK, MANIFEST, SUCCESS = "_plan.json", "_lock", "_manifest.json", "_SUCCESS"
_RECORD = re.compile(r"_part-(\d{5,})\.json")


class Record(StrictModel):
    """Of a part that is done."""

    number: int
    name: str
    size: int
    sha256: str
    answered: int
    refused: int
    first_refusal: str

    @property
    def tally(self) -> Tally:
        return Tally(self.answered, self.refused, self.first_refusal)


class Manifest(StrictModel):
    """Of a folder whose parts are all done."""

    job: Job
    parts: list[Record]


@dataclass(frozen=True)
class Parts:
    """``bare`` parts have no header, to be joined."""

    folder: str
    bare: bool = False

    def read_plan(self) -> Plan | None:
        """Of the command that was stopped; raises InputError where something else is there."""
        return cast("Plan | None", self._read(PLAN, Plan))

    def read_manifest(self) -> Manifest | None:
        return cast("Manifest | None", self._read(MANIFEST, Manifest)) if self._has(SUCCESS) else None

    def _has(self, name: str) -> bool:
        return files.is_there(files.join(self.folder, name))

    def _read(self, name: str, kind: type[StrictModel]) -> StrictModel | None:
        content = files.read(files.join(self.folder, name))
        if content is None:
            return None
        try:
            return kind.model_validate_json(content)
        except ValidationError:
            raise InputError(f"{files.join(self.folder, name)} is of another version; --restart begins anew") from None

    def write_plan(self, plan: Plan) -> None:
        self.write(PLAN, plan.model_dump_json().encode())

    def write(self, name: str, content: bytes) -> None:
        with files.write_whole(files.join(self.folder, name)) as file:
            file.write(content)

    def records(self) -> dict[int, Record]:
        """Of the parts that are done, by number."""
        numbers = [found[1] for name in files.list_names(self.folder) if (found := _RECORD.fullmatch(name))]
        read = [self._read(f"_part-{number}.json", Record) for number in numbers]
        return {record.number: record for record in cast("list[Record | None]", read) if record}

    def count_try(self, number: int, run: str) -> int:
        """How often a part was begun by this run, now included."""
        name = f"_part-{number:05}.try"
        last, _, count = (files.read(files.join(self.folder, name)) or b"").decode().partition(" ")
        tries = 1 + (int(count) if last == run else 0)
        self.write(name, f"{run} {tries}".encode())
        return tries

    def clear(self) -> None:
        """Remove what this module writes, the plan last."""
        names = files.list_names(self.folder)
        ours = [name for name in names if re.fullmatch(r"_?part-\d{5,}\..*|\.tuneship-.*\.part|_lock", name)]
        files.remove(self.folder, [SUCCESS, MANIFEST, *ours, PLAN])
        files.remove_folder(self.folder)

    def finish(self, plan: Plan) -> None:
        """From now on the folder is complete."""
        records = self.records()
        manifest = Manifest(job=plan.job, parts=[records[block.number] for block in plan.blocks])
        self.write(MANIFEST, manifest.model_dump_json(indent=1).encode())
        self.write(SUCCESS, b"")
        done = [f"_part-{record.number:05}.{end}" for record in manifest.parts for end in ("json", "try")]
        cut_off = [name for name in files.list_names(self.folder) if fnmatch(name, TEMPORARY)]
        files.remove(self.folder, [*done, *cut_off, LOCK, PLAN])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """On one machine, one command at a time; raises InputError where another runs."""
        if not files.is_local(self.folder):
            yield
            return
        path = Path(self.folder) / LOCK
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"another command writes into {self.folder}; wait for it, or stop it") from None
            yield
