"""Records a terminal: commands are typed into a shell on a pseudo-terminal, and what it shows becomes an asciicast.

The asciicast (version 2: a header, then a line of time, "o" and output each) is played by asciinema's player, and by
`docsite.pictures.animation` as an SVG. Pauses are cut to IDLE seconds, and output that takes longer than LONGEST is
shown faster; `elapsed` in the header is what it really took.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WIDTH, HEIGHT = 80, 24
TYPING, PAUSE, IDLE = 0.03, 0.8, 1.2
"""Seconds of a character that is typed, before a command is entered, and of the longest pause."""

LONGEST, REDRAWN = 6.0, 0.3
"""Seconds of a command's output, and between two states of a progress bar."""
REDRAW = re.compile(r"(?=\r\x1b\[2K)")
ERASED = re.compile(r"\r\x1b\[2K((?:\x1b\[1A\x1b\[2K)*)")
"""How a bar goes back to its first line, to be drawn anew."""

PROMPT = "\x1b[1;32m$\x1b[0m "
READY = "\x1b]tuneship-prompt\x07"
"""Comes before each prompt, so that the recorder knows that a command has ended; terminals ignore it."""


class RecordingError(Exception):
    """A command failed, or took too long; the message has what it printed."""


@dataclass
class Recording:
    """Output by the time at which it is shown."""

    events: list[tuple[float, str]] = field(default_factory=list)
    shown: float = 0.0
    elapsed: float = 0.0

    def show(self, text: str, after: float) -> None:
        """``text``, so many seconds after what was shown before."""
        self.shown += min(after, IDLE)
        if text:
            self.events.append((round(self.shown, 3), text))

    def fast_forward(self, first: int) -> None:
        """Show the events from ``first`` on in LONGEST seconds, without states of a bar that nobody could see."""
        if len(self.events) <= first:
            return
        began = self.events[first][0]
        factor = min(1.0, LONGEST / max(self.shown - began, 0.001))
        faster = [(round(began + (at - began) * factor, 3), text) for at, text in self.events[first:]]
        self.events[first:] = seen(faster)
        self.shown = began + (self.shown - began) * factor

    def to_asciicast(self, title: str) -> str:
        """The file's text."""
        header = {"version": 2, "width": WIDTH, "height": HEIGHT, "title": title, "elapsed": round(self.elapsed)}
        lines = [json.dumps(header), *(json.dumps([at, "o", text], ensure_ascii=False) for at, text in self.events)]
        return "\n".join(lines) + "\n"


def seen(events: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The same without what the next event erases less than REDRAWN seconds after what was kept before."""
    pieces = [(at, piece) for at, text in events for piece in REDRAW.split(text) if piece]
    kept: list[tuple[float, str]] = []
    for (at, text), (_, following) in zip(pieces, [*pieces[1:], (0.0, "")], strict=True):
        erased = ERASED.match(following)
        lines = erased[1].count("\x1b[1A") if erased else -1
        hidden = text.count("\n") == lines and ERASED.match(text) and kept and at - kept[-1][0] < REDRAWN
        if not hidden:
            kept.append((at, text))
    return kept


def record(commands: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float) -> Recording:
    """Type each command into a shell in ``folder``; raises RecordingError where one fails or takes longer."""
    recording, began = Recording(), time.monotonic()
    process, terminal = _open_shell(folder, environment)
    try:
        _read_until_ready(terminal, recording, seconds, shown=False)
        for command in commands:
            _type(command, recording)
            os.write(terminal, command.encode() + b"\n")
            first = len(recording.events)
            _read_until_ready(terminal, recording, seconds)
            recording.fast_forward(first)
            if not command.startswith("#") and (status := _status(terminal)):
                raise RecordingError(f"{command}: exit status {status}\n{recording.events[-1][1]}")
        recording.show("", PAUSE)
    finally:
        _close(process, terminal)
    recording.elapsed = time.monotonic() - began
    return recording


def _open_shell(folder: Path, environment: Mapping[str, str]) -> tuple[int, int]:
    """Process and terminal of a shell that echoes nothing: what is typed is shown as a person types."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        settings = {"PS1": READY, "PS2": "", "TERM": "xterm-256color", "HISTFILE": "", **environment}
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], settings)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    attributes = termios.tcgetattr(terminal)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    return process, terminal


def _close(process: int, terminal: int) -> None:
    """End what the commands have left in the background, then the shell: a server takes SIGHUP for something else."""
    os.write(terminal, b"\x03\nkill $(jobs -p) 2> /dev/null; exit 0\n")
    for _ in range(50):
        if os.waitpid(process, os.WNOHANG)[0]:
            break
        select.select([terminal], [], [], 0.1)
        _drain(terminal)
    else:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    os.close(terminal)


def _drain(terminal: int) -> None:
    """Else the shell would wait for a reader."""
    with contextlib.suppress(OSError):  # it has ended
        if select.select([terminal], [], [], 0)[0]:
            os.read(terminal, 65536)


def _type(command: str, recording: Recording) -> None:
    recording.show(PROMPT, 0.0)
    recording.show("", PAUSE)
    for character in command:
        recording.show(character.replace("\n", "\r\n> "), TYPING)
    recording.show("\r\n", PAUSE)


def _read_until_ready(terminal: int, recording: Recording, seconds: float, *, shown: bool = True) -> str:
    """What the shell prints before its next prompt."""
    text, last, until = "", time.monotonic(), time.monotonic() + seconds
    pending = b""
    while READY not in text:
        if time.monotonic() > until or not select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0]:
            raise RecordingError(f"no prompt after {seconds:g} s:\n{text[-2000:]}")
        pending += os.read(terminal, 65536)
        piece, pending = _decode(pending)
        now = time.monotonic()
        if shown:
            recording.show(piece.replace(READY, ""), now - last)
        text, last = text + piece, now
    return text.replace(READY, "")


def _decode(data: bytes) -> tuple[str, bytes]:
    """The characters that are whole, and the bytes of one that is not yet."""
    for cut in range(4):
        try:
            return data[: len(data) - cut].decode(), data[len(data) - cut :]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""


def _status(terminal: int) -> int:
    """Of the last command."""
    os.write(terminal, b"echo $?\n")
    return int(_read_until_ready(terminal, Recording(), 10.0, shown=False).strip() or 0)


def read_commands(script: Path) -> list[str]:
    """A script's commands: one a line, continued behind a backslash; comments are typed too."""
    text = script.read_text(encoding="utf-8").replace("\\\n", "\0")
    return [line.replace("\0", "\\\n") for line in text.splitlines() if line.strip() and not line.startswith("#!")]


if __name__ == "__main__":
    sys.exit("python -m docsite.pictures.first_hour records the first hour")
