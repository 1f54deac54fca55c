"""BentoML's file of tasks. BentoML has no method that ends what no worker runs any more, or that makes room.

A BentoML that keeps its tasks otherwise is no reason for a batch to fail: the log tells what is not done.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from starlette.responses import Response

from serving.batching.errors import Overloaded, Unavailable
from serving.bento.batch_limits import BatchLimits
from serving.http.errors import error_response, respond

logger = logging.getLogger("tuneship")

LOST = Unavailable("the worker ended before the batch did; send the batch again")


async def take_over() -> None:
    """At the start of a worker: what no worker runs any more has failed, and nobody else may read the file."""
    with _as_expected("batches that an earlier worker left stay in progress"):
        path = _file_of_tasks()
        path.chmod(0o600)
        with closing(sqlite3.connect(path, timeout=30)) as file:
            lost = [row[0] for row in file.execute("SELECT task_id FROM result WHERE completed_at IS NULL")]
        await _end(lost, respond(LOST), "FAILED")


async def set_cancelled(task_id: str) -> None:
    with _as_expected("a cancelled batch stays in progress"):
        await _end([task_id], error_response(409, "cancelled", "the batch was cancelled"), "CANCELED")


async def _end(task_ids: Sequence[str], response: Response, status: Literal["FAILED", "CANCELED"]) -> None:
    from _bentoml_impl.tasks import ResultStatus, Sqlite3Store

    async with Sqlite3Store(str(_file_of_tasks())) as store:
        for task_id in task_ids:
            await store.set_result(task_id, response, ResultStatus[status])


def make_room(limits: BatchLimits) -> None:
    """Forget what ended too long ago, which BentoML does at the next end; raises Overloaded where there is no room."""
    stored = 0
    without = "batches are neither forgotten before the next one ends, nor bounded in bytes"
    with _as_expected(without), closing(sqlite3.connect(_file_of_tasks(), timeout=30)) as file:
        _forget(file, datetime.now(UTC) - timedelta(seconds=limits.retention_seconds))
        pages, unused, size = (_pragma(file, name) for name in ("page_count", "freelist_count", "page_size"))
        stored = (pages - unused) * size
    if stored > limits.stored_bytes:
        kept = f"{stored:,} bytes of batches are stored, more than {limits.stored_bytes:,}"
        raise Overloaded(f"{kept}; they are forgotten {limits.retention_seconds:g} s after their end")


def _forget(file: sqlite3.Connection, before: datetime) -> None:
    with file:
        file.execute("DELETE FROM result WHERE completed_at < ?", (before.isoformat(" "),))


def _pragma(file: sqlite3.Connection, name: str) -> int:
    return int(file.execute(f"PRAGMA {name}").fetchone()[0])


def _file_of_tasks() -> Path:
    from bentoml._internal.configuration.containers import BentoMLContainer

    return Path(BentoMLContainer.result_store_file.get())


@contextmanager
def _as_expected(without: str) -> Iterator[None]:
    try:
        yield
    except (ImportError, AttributeError, KeyError, OSError, sqlite3.Error) as error:
        logger.warning("BentoML's file of tasks is not as expected (%s): %s", error, without)
