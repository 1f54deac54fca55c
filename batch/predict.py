"""`tuneship predict`: files of rows in, the same rows with answers out, each once, in order, in constant memory.

Rows are cut into blocks, and each block's answers are a part, written whole. A command that was stopped and is repeated
answers the blocks whose parts are missing. The parts of a file are joined at the end; a folder keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from batch import files
from batch.answers import Tally
from batch.joining import join_parts
from batch.parts import Parts
from batch.plan import Block, Job, Options, Plan, make_plan
from batch.stopping import Stopped, stop_on_signals
from serving.errors import InputError, Interrupted
from serving.observability.progress import begin_step, open_part
from stores.targets import scrub


class Engine(Protocol):
    """Answers blocks in any order and writes their parts."""

    def __call__(self, parts: Parts, job: Job, blocks: Sequence[Block], on_rows: Callable[[int], None]) -> None: ...


class Output:
    """Where answers go: a file, or a folder of parts."""

    def __init__(self, place: str, is_folder: bool) -> None:
        self.place = place.rstrip("/") if is_folder else place
        self.is_folder = is_folder
        self.parts = Parts(self.place) if is_folder else Parts(f"{place}.partial", bare=True)


def predict_files(output: Output, job: Job, options: Options, engine: Engine, *, restart: bool) -> Tally:
    """Answer every row of the job's sources; returns how many were answered and refused.

    Raises InputError where the output cannot be written or holds something else, Interrupted after a signal, and what
    reading, predicting and writing raise; parts that are done stay, and repeating the command goes on.
    """
    parts = output.parts
    if restart:
        parts.clear()
    if output.is_folder and (done := parts.read_manifest()):
        _require_equal(job, done.job, output.place)
        return _sum([record.tally for record in done.parts])
    _require_free(output)
    files.make_folder(parts.folder)
    with parts.lock(), _removed_if_empty(parts):
        begin_step("reading the rows…")
        plan = _resume(parts, job) or _begin(parts, job, options)
        _answer_missing(parts, plan, engine)
        records = parts.records()
        tally = _sum([records[block.number].tally for block in plan.blocks])
        if output.is_folder:
            parts.finish(plan)
        else:
            join_parts(parts, job, [records[block.number] for block in plan.blocks], output.place)
            parts.clear()
    return tally


def _resume(parts: Parts, job: Job) -> Plan | None:
    plan = parts.read_plan()
    if plan:
        _require_equal(job, plan.job, parts.folder)
    return plan


def _require_equal(job: Job, other: Job, folder: str) -> None:
    if job != other:
        reasons = "; ".join(job.differences(other)) or "the columns"
        raise InputError(
            f"{scrub(folder)} holds answers of another command: {reasons}. Repeat that command to finish it, or give"
            " --restart to discard them"
        )


def _begin(parts: Parts, job: Job, options: Options) -> Plan:
    plan = make_plan(job, options)
    parts.write_plan(plan)
    return plan


def _answer_missing(parts: Parts, plan: Plan, engine: Engine) -> None:
    done = parts.records()
    missing = [block for block in plan.blocks if block.number not in done]
    rows = sum(record.tally.rows for record in done.values())
    try:
        begin_step("answering…")
        with stop_on_signals(), open_part(f"{plan.rows:,} rows", plan.rows, rows) as part:
            if missing:
                engine(parts, plan.job, missing, part.advance)
    except Stopped as stopped:
        kept = sum(record.tally.rows for record in parts.records().values())
        raise Interrupted(stopped.number, _tell_kept(parts, kept, plan.rows)) from None


def _tell_kept(parts: Parts, kept: int, rows: int) -> str:
    if not kept:
        return "stopped before a part was done; repeat the command to begin anew"
    return f"stopped; {kept:,} of {rows:,} rows are kept in {scrub(parts.folder)}: repeat the command to resume"


def _sum(tallies: Sequence[Tally]) -> Tally:
    total = Tally()
    for each in tallies:
        total.add(each)
    return total


@contextmanager
def _removed_if_empty(parts: Parts) -> Iterator[None]:
    """After an error, nothing is left of a command that has done no part."""
    try:
        yield
    except BaseException:
        if not parts.records():
            parts.clear()
        raise


def _require_free(output: Output) -> None:
    if not files.is_local(output.place):
        return
    path = Path(output.place)
    if not output.is_folder:
        if (path.exists() and not path.is_file()) or not path.parent.is_dir():
            raise InputError(f"{path} cannot be written: --output takes a regular file in a folder that exists")
    elif path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; --output takes a folder for parts: one that exists, or a new one")
    elif not path.parent.is_dir():
        raise InputError(
            f"{path} cannot be written: --output takes a folder that exists, or a new one in a folder that exists"
        )
    elif path.is_dir() and any(path.iterdir()) and output.parts.read_plan() is None:
        raise InputError(f"{path} holds other files; choose another --output, or empty it first")


def check_places(sources: Sequence[str], output: Output) -> None:
    """Raises InputError for an output that is an input, or lies among them."""
    target = Path(output.place)
    for source in sources if files.is_local(output.place) else ():
        if not files.is_local(source):
            continue
        if not output.is_folder and target.exists() and target.samefile(source):
            raise InputError(f"writing {target} would overwrite the --input {source}; choose another --output")
        if output.is_folder and target.resolve() in Path(source).resolve().parents:
            raise InputError(f"{target} holds the --input {source}; choose another folder for --output")
