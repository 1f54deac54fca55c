"""The parts of a file, in their order, as one file."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from batch import files
from batch.forms import load
from batch.parts import Parts, Record
from batch.plan import Job
from serving.errors import InputError

BYTES_AT_ONCE = 2**20


def join_parts(parts: Parts, job: Job, records: Sequence[Record], target: str) -> None:
    """The target is replaced at the end, whole; raises InputError for a part that was altered."""
    with files.write_whole(target) as out:
        if job.form == "parquet":
            _join_tables(parts, job, records, out)
        else:
            _write_head(job, out)
            for record in records:
                _copy(parts, record, out)


def _write_head(job: Job, out: IO[bytes]) -> None:
    """Of what one part has at most."""
    with tempfile.TemporaryFile() as unused:
        head = load(job.form).Writer(unused, job.columns, job.schema_text).head
    if head:
        with files.packed(out, job.packed) as packing:
            packing.write(head)


def _copy(parts: Parts, record: Record, out: IO[bytes]) -> None:
    """Parts that are packed stay so: gzip's members can follow each other."""
    with _open_part(parts, record) as part:
        shutil.copyfileobj(part, out, BYTES_AT_ONCE)


@contextmanager
def _open_part(parts: Parts, record: Record) -> Iterator[IO[bytes]]:
    with files.open_file(files.join(parts.folder, record.name)) as part:
        if hashlib.file_digest(part, "sha256").hexdigest() != record.sha256:  # type: ignore[arg-type]
            raise InputError(f"{parts.folder}: {record.name} was altered since it was written; --restart begins anew")
        part.seek(0)
        yield part


def _join_tables(parts: Parts, job: Job, records: Sequence[Record], out: IO[bytes]) -> None:
    from batch.forms.parquet import TableJoiner

    with TableJoiner(out, job.schema_text) as joiner:
        for record in records:
            with _open_part(parts, record) as part:
                joiner.add(part)
