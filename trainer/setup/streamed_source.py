"""A file's rows, checked a few thousand at a time and kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from trainer.data.rows import Rows
from trainer.data.streamed.row_store import RowStore
from trainer.data.streamed.streamed_rows import streamed_rows
from trainer.data.table import Table
from trainer.tasks.row_reader import RowReader

MOST_PROBLEMS = 1000
"""Of a file that is refused anyway; further rows are not read."""


def stream_rows(
    reader: RowReader, blocks: Iterable[Table], store: RowStore, rename: Callable[[str], str]
) -> tuple[Table, Rows]:
    """What all tables say, without columns, and the rows that can be used; raises InputError."""
    start, rows_before, whole = len(store), 0, Table("", {})
    for block in blocks:
        if not rows_before:
            whole = Table(rename(block.name), {}, block.label_names)
            store.begin_file(whole.name)
        rows = reader.rows(block, whole=False)
        store.extend(rows, rows_before)
        whole.problems.append(block.problems, rows_before)
        whole.notes.extend(note for note in block.notes if note not in whole.notes)
        rows_before += len(block)
        if reader.data.unusable_rows == "refuse" and len(whole.problems) > MOST_PROBLEMS:
            break
    return whole, streamed_rows(whole.name, store, np.arange(start, len(store), dtype=np.int32))
