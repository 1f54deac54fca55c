"""Where commands write: the result for people or as one JSON document, words on the way, warnings, errors.

==========  ==============================  ==============================  ==================
channel     usually                         with ``--json``                 with ``--quiet``
==========  ==============================  ==============================  ==================
``out``     the result, on stdout           nothing: `tell` has it          the result
``log``     words on the way, on stdout     on stderr                       nothing
``err``     warnings, on stderr             on stderr                       nothing
==========  ==============================  ==============================  ==================

Errors are on stderr always, and in the document of ``--json`` too.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn, TextIO, cast

import typer
from rich.console import Console
from rich.markup import escape

from commands.processes import rank
from serving.errors import Interrupted, ToldByAnother, UserError
from serving.files import explain as explain_file_error

FAILED, USAGE = 1, 2
STOPPED = "repeat the command to resume what was interrupted"


NOT_IN_A_SERVER = frozenset((
    "checks", "deploy", "export", "inspection", "onboarding", "search", "templates", "trainer",
    "torch", "transformers", "datasets", "accelerate", "safetensors", "sklearn", "scipy", "optuna", "peft", "onnx",
    "onnxscript", "yaml", "jinja2", "matplotlib", "cleanlab", "datasketch", "ftfy", "huggingface_hub", "cyclonedx",
))  # fmt: skip
"""Modules of the extra ``train``, and those of ours that need it: an image that serves has none of them."""


@dataclass
class Terminal:
    """What one command writes to; ``record`` becomes the document of ``--json``."""

    as_json: bool = False
    quiet: bool = False
    record: dict[str, Any] = field(default_factory=dict)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    published: bool = False
    out: Console = field(init=False)
    log: Console = field(init=False)
    err: Console = field(init=False)
    errors: Console = field(init=False)

    def __post_init__(self) -> None:
        self.out = Console(quiet=self.as_json)
        self.log = Console(stderr=self.as_json, quiet=self.quiet)
        self.err = Console(stderr=True, quiet=self.quiet)
        self.errors = Console(stderr=True)

    def publish(self) -> None:
        """Print the document, once; of several processes the first does."""
        if self.as_json and not self.published and rank() == 0:
            write_json(self.record, self.stdout)
            self.stdout.flush()
        self.published = True


_current: ContextVar[Terminal | None] = ContextVar("terminal", default=None)
_begun: ContextVar[bool] = ContextVar("begun", default=False)
_before_the_verb: ContextVar[tuple[bool, bool]] = ContextVar("before_the_verb", default=(False, False))


def _terminal() -> Terminal:
    return _current.get() or Terminal()


class Channel:
    """A console of the command that runs."""

    def __init__(self, choose: Callable[[Terminal], Console]) -> None:
        self._choose = choose

    @property
    def console(self) -> Console:
        """For libraries that print by themselves."""
        return self._choose(_terminal())

    def print(self, *objects: Any, **options: Any) -> None:
        self.console.print(*objects, **options)

    def write(self, text: str) -> None:
        """As it is, without wrapping."""
        if not self.console.quiet:
            self.console.file.write(text)


out = Channel(lambda terminal: terminal.out)
log = Channel(lambda terminal: terminal.log)
err = Channel(lambda terminal: terminal.err)


def tell(record: Mapping[str, Any]) -> None:
    """Add to what ``--json`` prints when the command ends."""
    _terminal().record.update(record)


def warn(message: str) -> None:
    err.print(f"[yellow]warning[/] {escape(message)}", soft_wrap=True, highlight=False)


def fail(message: str, word: str = "failed") -> NoReturn:
    """End the command with status 1: it has done its work, and what it looked at is not good."""
    terminal = _terminal()
    terminal.record["failed"] = message
    terminal.errors.print(f"[red]{word}[/]  {escape(message)}", soft_wrap=True, highlight=False)
    raise typer.Exit(FAILED)


def ask_for(as_json: bool, quiet: bool) -> None:
    """Options that stand before the verb."""
    _before_the_verb.set((as_json, quiet))


@contextmanager
def speaking(as_json: bool = False, quiet: bool = False, stopped: str = STOPPED) -> Iterator[None]:
    """Write as the options say inside the block.

    A signal that nothing else handles becomes Interrupted, which says ``stopped``: what to do next.
    """
    before = _before_the_verb.get()
    terminal = Terminal(as_json or before[0], quiet or before[1])
    token = _current.set(terminal)
    _begun.set(True)
    try:
        with _document(terminal), _interruptible(stopped):
            yield
    finally:
        _current.reset(token)


@contextmanager
def _interruptible(stopped: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        number = error.args[0] if error.args else signal.SIGINT
        raise Interrupted(number, f"stopped by {signal.Signals(number).name}; {stopped}") from None


@contextmanager
def _document(terminal: Terminal) -> Iterator[None]:
    """With ``--json``, one document on stdout, whatever happens in the block; what else prints there goes to stderr."""
    if not terminal.as_json:
        yield
        return
    with redirect_stdout(sys.stderr), _own_stdout(terminal):
        try:
            yield
        except (Exception, SystemExit) as error:
            if not isinstance(error, (typer.Exit, SystemExit)):
                terminal.record |= _describe_error(error)
            raise
        finally:
            terminal.publish()


@contextmanager
def _own_stdout(terminal: Terminal) -> Iterator[None]:
    """The process's stdout for the document alone: what other programs and C libraries print goes to stderr too."""
    if terminal.stdout is not sys.__stdout__:
        yield
        return
    terminal.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as own:
        os.dup2(2, 1)
        terminal.stdout = own
        try:
            yield
        finally:
            own.flush()
            os.dup2(own.fileno(), 1)


def publish() -> None:
    """Print the document of ``--json`` now, for a command that goes on."""
    _terminal().publish()


def write_json(record: Mapping[str, Any], stream: TextIO | None = None) -> None:
    text = json.dumps(_to_plain(record), ensure_ascii=False, indent=2, allow_nan=False, default=str)
    print(text, file=stream or sys.stdout)


def _to_plain(value: Any) -> Any:
    """JSON has no infinities; numpy's numbers are numbers."""
    if isinstance(value, Mapping):
        return {str(key): _to_plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(each) for each in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _describe_error(error: Exception) -> dict[str, Any]:
    field_name = getattr(error, "field", None)
    message = _message_of(error)
    described = {"type": type(error).__name__, "message": str(error) if message is None else message}
    return {"error": described | ({"field": field_name} if field_name else {})}


def _message_of(error: Exception) -> str | None:
    """What a user can act on; None for a fault of the program."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and (name := (error.name or "").partition(".")[0]) in NOT_IN_A_SERVER:
        return (
            f"this command needs {name}, which an installation that only serves has not: pip install 'tuneship[train]'"
        )
    return explain_file_error(error)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Print a UserError, and what a file system refuses, without a traceback and exit with status 1."""
    console = Console(stderr=True)
    try:
        yield
    except Interrupted as error:
        console.print(f"\n{escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(error.status)
    except ToldByAnother as error:
        sys.exit(error.status)
    except Exception as error:
        message = _message_of(error)
        if message is None:
            raise
        console.print(f"[red]error[/]  {escape(message)}", soft_wrap=True, highlight=False)
        sys.exit(FAILED)


def run(app: typer.Typer) -> None:
    """Run the command line and exit; SIGTERM is treated as Ctrl-C is."""
    _stop_on(signal.SIGTERM)
    with readable_errors(), _interruptible(STOPPED):
        try:
            status = app(prog_name="tuneship", standalone_mode=False)
        except typer.TyperException as error:  # the command line itself is wrong
            cast(Any, error).show()
            _tell_early({"error": {"type": "UsageError", "message": error.format_message()}})
            status = error.exit_code
        except typer.Abort:
            Console(stderr=True).print("\nstopped at a question; nothing was done")
            status = FAILED
        except UserError as error:
            _tell_early(_describe_error(error))
            raise
    sys.exit(status if isinstance(status, int) else 0)


def _tell_early(record: Mapping[str, Any]) -> None:
    """What is wrong before a verb begins, which would print it."""
    if "--json" in sys.argv and not _begun.get():
        write_json(record)


def _stop_on(number: signal.Signals) -> None:
    """Raise KeyboardInterrupt in this process, so that what is under way is cleaned up; children end at once."""
    own = os.getpid()

    def stop(received: int, frame: FrameType | None) -> None:
        if os.getpid() != own:
            signal.signal(received, signal.SIG_DFL)
            os.kill(os.getpid(), received)
        raise KeyboardInterrupt(received)

    signal.signal(number, stop)
