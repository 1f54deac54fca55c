"""A run that outlives its machine: each state is uploaded while training goes on, and a new machine begins with it.

A place that cannot be reached stops no training: that is a warning, and the next state is tried again. It is an error
before the first step, where nothing is known of earlier states, and at the end.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from serving.bundle.manifest import FileEntry
from serving.errors import InputError, UserError
from stores.errors import StoreError
from stores.folders import staging_folder
from stores.runs.finished import LEFT_OUT, RECORD, push_run
from stores.runs.states import KeptRun, StatesPlace
from trainer.run.disk import require_disk
from trainer.run.records import read_record
from trainer.run.run import FINISHED, Run

Changes = Callable[[dict[str, Any]], list[str]]
"""A line for each difference between a run's record and the run that is asked for."""

WRITTEN_ONCE = (".safetensors", ".pt", ".pth", ".bin")
"""Files of a state that nobody writes into again, so that a link is as good as a copy."""


class NotKept(UserError):
    """A finished run could not be uploaded."""


class Mirror:
    """One run at a place."""

    def __init__(self, run: Run, place: StatesPlace, console: Console) -> None:
        self._run, self._place, self._console = run, place, console
        self._numbers = count()
        self._waiting: queue.Queue[Path] = queue.Queue()
        self._failure: str | None = None
        # no thread of a pool: at a second signal nobody waits for it
        threading.Thread(target=self._upload_all, name="states", daemon=True).start()

    def begin(self, changes: Changes, *, overwrite: bool) -> None:
        """Bring what the place has of this run into an empty folder, and see that the place can be written.

        Raises InputError where it has another run, StoreError.
        """
        try:
            kept = self._place.kept()
            if overwrite:
                self._place.clear(finished=True)
            elif self._run.status() is None and kept:
                self._restore(kept, changes)
            else:
                self._refuse_other(kept, changes)
            with staging_folder(self._run.root) as folder:
                self._place.prepare(folder)
        except StoreError as error:
            if self._run.status() is None:
                raise
            self._warn(f"{error}; this machine's state goes on, and the next one is tried again")

    def save(self) -> None:
        """Upload the run's folder as it is now, in the background; a state that still waits gives way to it."""
        folder = self._run.uploading / str(next(self._numbers))
        try:
            for path in _files(self._run):
                copy = folder / path.relative_to(self._run.root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                _link_or_copy(path, copy)
        except OSError as error:
            self._fail(str(error))
            return
        self._waiting.put(folder)

    def wait(self) -> str | None:
        """Until nothing is uploaded; returns why the newest state is not there, or None."""
        self._waiting.join()
        shutil.rmtree(self._run.uploading, ignore_errors=True)
        return self._failure

    def finish(self, changes: Changes) -> None:
        """Upload the finished run in the place of its states; raises NotKept, InputError."""
        self.wait()
        try:
            self._refuse_other(self._place.kept(), changes)
            push_run(self._run.root, self._place.target, overwrite=True)
        except StoreError as error:
            raise NotKept(
                f"{error}. The finished run is on this machine only, in {self._run.root}: repeat the command to upload"
                " it, or save the folder"
            ) from None
        self._console.print(f"kept at {escape(str(self._place.target))}", soft_wrap=True, highlight=False)
        try:
            self._place.clear()
        except StoreError as error:
            self._warn(f"its states are still there: {error}")

    def _restore(self, kept: list[KeptRun], changes: Changes) -> None:
        """The newest that is whole; raises the first one's StoreError where none is."""
        failures = []
        for each in kept:
            try:
                with staging_folder(self._run.root) as folder:
                    self._fetch(each, folder, changes)
                    _move(folder, self._run)
            except StoreError as error:
                failures.append(error)
                self._warn(f"{each.title} cannot be used: {error}")
            else:
                self._console.print(
                    f"going on with {each.title} of {escape(str(each.target))}", soft_wrap=True, highlight=False
                )
                return
        raise failures[0]

    def _fetch(self, kept: KeptRun, folder: Path, changes: Changes) -> None:
        files = kept.files()
        self._refuse(_fetch_record(kept, files, folder), changes)
        require_disk(self._run.root, sum(entry.size for entry in files.values()), f"{kept.title} takes")
        kept.fetch(files, folder)

    def _refuse_other(self, kept: list[KeptRun], changes: Changes) -> None:
        for each in kept[:1]:
            with staging_folder(self._run.root) as folder:
                self._refuse(_fetch_record(each, each.files(), folder), changes)

    def _refuse(self, record: dict[str, Any], changes: Changes) -> None:
        if found := changes(record):
            raise InputError(
                f"{self._place.target}: holds a run of another recipe or other data ({'; '.join(found[:3])}); give"
                " another --state-to, or --overwrite to replace it",
                field="--state-to",
            )

    def _upload_all(self) -> None:
        while True:
            folder = self._waiting.get()
            try:
                if self._waiting.empty():
                    self._upload(folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                self._waiting.task_done()

    def _upload(self, folder: Path) -> None:
        self._failure = None
        try:
            self._place.save(folder)
        except (UserError, OSError) as error:
            self._fail(str(error))

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self._warn(f"a state was not uploaded: {reason}; the next one is tried again")

    def _warn(self, message: str) -> None:
        self._console.print(f"[yellow]warning[/yellow] {escape(message)}", soft_wrap=True, highlight=False)


def _fetch_record(kept: KeptRun, files: Mapping[str, FileEntry], folder: Path) -> dict[str, Any]:
    """Raises StoreError."""
    if RECORD not in files:
        raise StoreError(f"{kept.target}: {kept.title} has no {RECORD}")
    kept.fetch({RECORD: files[RECORD]}, folder)
    try:
        return read_record(folder / RECORD, FINISHED)
    except InputError as error:
        raise StoreError(f"{kept.target}: {kept.title}: {error}") from None


def _move(folder: Path, run: Run) -> None:
    """The record last, without which the folder is no run's."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == RECORD):
        path.rename(run.root / path.name)


def _files(run: Run) -> Iterator[Path]:
    """Regular files; a tracker's links lead to what is there too."""
    for path in sorted(run.root.rglob("*")):
        regular = path.is_file() and not path.is_symlink()
        if regular and not path.is_relative_to(run.uploading) and not any(path.match(each) for each in LEFT_OUT):
            yield path


def _link_or_copy(path: Path, copy: Path) -> None:
    if path.suffix in WRITTEN_ONCE:
        try:
            os.link(path, copy)
            return
        except OSError:  # not every file system has links
            pass
    shutil.copyfile(path, copy)
