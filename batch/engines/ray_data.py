"""Blocks answered by actors of Ray Data, on this machine or a cluster's.

A block of rows is an item of the data set, and its worker reads the rows and writes the part itself: Ray's own writers
name files by chance, so that a task that is tried again would leave its rows twice. A worker that is lost is started
again, and so is its block; its part has the same name.
"""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from batch.part_writer import PartWriter
from batch.parts import Parts, Record
from batch.plan import Block, Job
from batch.stopping import stop_on_signals
from serving.errors import BundleError, InputError, UserError
from serving.inference.predictor import Predictor
from serving.settings.settings import available_cpus
from stores.locate import locate

OBJECT_STORE_BYTES = 200 * 2**20
"""On this machine; what travels are numbers of blocks."""

LONGEST_END = 20
"""Seconds that Ray's processes have to end."""

TRIES = 4
"""Of a block whose worker is lost each time."""

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
if not (CLUSTER := os.environ.get("RAY_ADDRESS")):
    # Ray reads these when it is imported. The first makes it listen at the loopback address, as on other systems.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what goes wrong comes as an exception too
try:
    import psutil
    import ray
    import ray.data
except ImportError as _error:
    raise InputError(f"--engine ray needs Ray ({_error}): pip install 'tuneship[ray]'") from _error


@dataclass(frozen=True)
class Worker:
    """What an actor needs; it opens the bundle at its first block."""

    bundle: str
    parts: Parts
    job: Job
    threads: int
    run: str = field(default_factory=lambda: secrets.token_hex(8))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Records of the parts, as JSON. An error that a user can act on is a value: Ray would tell its own place."""
        records, errors = [], []
        for text in batch["block"]:
            try:
                records.append(self._try(Block.model_validate_json(text)).model_dump_json())
                errors.append("")
            except (UserError, OSError) as error:
                records.append("")
                errors.append(str(error))
        return {"record": records, "error": errors}

    def _try(self, block: Block) -> Record:
        """Ray would start a worker for ever that a block's rows end each time."""
        if self.parts.count_try(block.number, self.run) > TRIES:
            name = self.job.sources[block.source].name
            raise UserError(
                f"{name}: a worker was lost {TRIES} times at rows {block.first:,} to {block.first + block.rows - 1:,};"
                " give it more memory, or fewer --rows-per-part"
            )
        return self._write(block)

    @cached_property
    def _write(self) -> PartWriter:
        if self.threads == 1:
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
        predictor = Predictor.open(locate(self.bundle), threads=self.threads)
        if predictor.bundle.digest != self.job.bundle:
            raise BundleError(
                f"{self.bundle}: a worker finds the bundle sha256 {predictor.bundle.digest} there, and the command that"
                f" started it sha256 {self.job.bundle}; give all machines one bundle, or a target that is pinned"
            )
        return PartWriter(self.parts, self.job, predictor, [source.name for source in self.job.sources])


class RayData:
    """``workers`` of ``threads`` CPUs each; None: as many as there are CPUs for."""

    def __init__(self, bundle: str, threads: int, workers: int | None) -> None:
        self._bundle, self._threads, self._workers = bundle, threads, workers

    def __call__(self, parts: Parts, job: Job, blocks: Sequence[Block], on_rows: Callable[[int], None]) -> None:
        """Raises UserError for what a worker tells."""
        with _running(self._threads * (self._workers or 0)):
            workers = self._workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // self._threads)
            answered = _answer(Worker(self._bundle, parts, job, self._threads), blocks, min(workers, len(blocks)))
            for row in answered.iter_rows():
                if row["error"]:
                    raise UserError(row["error"])
                on_rows(Record.model_validate_json(row["record"]).tally.rows)


def _answer(worker: Worker, blocks: Sequence[Block], workers: int) -> Any:
    """A data set of records, a block of Ray's for each of ours."""
    items = [{"block": block.model_dump_json()} for block in blocks]
    return ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        _Actor,
        fn_constructor_args=(worker,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
        num_cpus=worker.threads,
    )


class _Actor:
    """Ray makes one in each worker's process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        return self._worker(batch)


@contextmanager
def _running(cpus: int) -> Iterator[None]:
    """Ray on this machine, which only it can reach, or the cluster that RAY_ADDRESS names."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        alone = {
            "num_cpus": cpus or available_cpus(), "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES, "_temp_dir": folder,
        }  # fmt: skip
        _start({} if CLUSTER else alone)
        try:
            with stop_on_signals():  # Ray has set handlers of its own
                yield
        finally:
            _shut_down()


def _shut_down() -> None:
    """Until Ray's processes on this machine have ended: they write into its folder to the last."""
    processes = psutil.Process().children(recursive=True)
    ray.shutdown()
    if not CLUSTER:
        psutil.wait_procs(processes, timeout=LONGEST_END)


def _start(options: dict[str, Any]) -> None:
    """Ray gives itself 30 seconds, which a busy machine can need more than once; raises UserError."""
    for _ in range(TRIES):
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
            break
        except Exception as error:  # it has no class of its own
            ray.shutdown()
            reason = str(error)
            if "timed out during startup" not in reason:
                raise UserError(f"Ray does not start: {reason}") from error
    else:
        raise UserError(f"Ray does not start, tried {TRIES} times: {reason}")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
