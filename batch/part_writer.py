"""Blocks to parts: read, answered, and written whole."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

from batch import files
from batch.answers import Tally, answer_chunk
from batch.forms import PACKED, load
from batch.parts import Parts, Record
from batch.plan import Block, Job
from serving.errors import InputError
from serving.inference.predictor import Predictor


class PartWriter:
    """Answers blocks, one part each. A part that is answered twice is the same part."""

    def __init__(self, parts: Parts, job: Job, predictor: Predictor, paths: Sequence[str]) -> None:
        self._parts, self._job, self._predictor, self._paths = parts, job, predictor, paths

    def __call__(self, block: Block, on_rows: Callable[[int], None] = lambda _: None) -> Record:
        """Raises StoreError, OSError, RuntimeError; then the part is not there."""
        name = f"part-{block.number:05}.{self._job.form}{PACKED if self._job.packed else ''}"
        with files.write_whole(files.join(self._parts.folder, name)) as file:
            sums = Summing(file)
            tally = self._answer(block, cast("IO[bytes]", sums), on_rows)
        if tally.rows != block.rows:
            raise InputError(
                f"{self._job.sources[block.source].name} was changed while it was read: a part has {tally.rows:,} rows,"
                f" and had {block.rows:,}; --restart begins anew"
            )
        record = Record(number=block.number, name=name, size=sums.size, sha256=sums.digest(), **vars(tally))
        self._parts.write(f"_part-{block.number:05}.json", record.model_dump_json().encode())
        return record

    def _answer(self, block: Block, file: IO[bytes], on_rows: Callable[[int], None]) -> Tally:
        source, tally = self._job.sources[block.source], Tally()
        prefix = f"{files.name_of(source.name)}, " if len(self._job.sources) > 1 else ""
        read = load(source.form).read
        with open_writer(file, self._job, bare=self._parts.bare) as writer:
            for chunk in read(self._paths[block.source], source.columns, source.separator, block.span):
                answers = answer_chunk(self._predictor, chunk, source.inputs, prefix)
                writer.write(answers.chunk, answers.entries)
                tally.add(answers.tally)
                on_rows(answers.tally.rows)
        return tally


@contextmanager
def open_writer(file: IO[bytes], job: Job, *, bare: bool) -> Iterator[Any]:
    with files.packed(file, job.packed) as out:
        writer = load(job.form).Writer(out, job.columns, job.schema_text)
        if not bare:
            out.write(writer.head)
        yield writer
        writer.close()


class Summing(io.RawIOBase):
    """Counts and sums what is written through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._hash.update(content)
        self.size += memoryview(content).nbytes
        return self._file.write(content)

    def tell(self) -> int:
        return self.size

    def digest(self) -> str:
        return self._hash.hexdigest()
