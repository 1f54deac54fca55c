"""One JSON document, quiet commands, and errors, whatever the verb."""

from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from commands.terminal import fail, log, out, publish, readable_errors, speaking, tell, warn, write_json
from serving.errors import InputError, Interrupted
from tests.paths import ROOT

Captured = pytest.CaptureFixture[str]


def run(body: Callable[[], None], **options: Any) -> int:
    """The exit status of a verb with this body."""
    try:
        with readable_errors(), speaking(**options):
            body()
    except typer.Exit as exit_:
        return exit_.exit_code
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


def speak() -> None:
    """Everything that a verb may say."""
    log.print("on the way")
    warn("take care")
    print("a library prints")
    tell({"score": np.float32(0.5), "path": Path("runs/a")})
    out.print("the result")


def test_words_for_people(capsys: Captured) -> None:
    """Result and words are on stdout, warnings on stderr."""
    assert run(speak) == 0
    said = capsys.readouterr()
    assert said.out == "on the way\na library prints\nthe result\n"
    assert said.err == "warning take care\n"


def test_one_document(capsys: Captured) -> None:
    """With --json stdout has the document alone; words are on stderr, and the result in words is left out."""
    assert run(speak, as_json=True) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"score": 0.5, "path": "runs/a"}
    assert said.err == "on the way\nwarning take care\na library prints\n"


def test_quiet(capsys: Captured) -> None:
    """With --quiet only the result is left; a library's own print stays."""
    assert run(speak, quiet=True) == 0
    said = capsys.readouterr()
    assert said.out == "a library prints\nthe result\n"
    assert said.err == ""


def test_an_error_is_in_the_document(capsys: Captured) -> None:
    """With what was told before it, its kind, its field, and on stderr as ever."""

    def body() -> None:
        tell({"rows": 3})
        raise InputError("--layout hob is unknown", field="--layout")

    assert run(body, as_json=True) == 1
    said = capsys.readouterr()
    error = {"type": "InputError", "message": "--layout hob is unknown", "field": "--layout"}
    assert json.loads(said.out) == {"rows": 3, "error": error}
    assert said.err == "error  --layout hob is unknown\n"


@pytest.mark.parametrize("quiet", [False, True])
def test_a_failed_check_is_told(capsys: Captured, quiet: bool) -> None:
    """Status 1, and the reason on stderr and in the document."""
    assert run(lambda: fail("leaks"), as_json=True, quiet=quiet) == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"failed": "leaks"}
    assert said.err == "failed  leaks\n"


def test_a_fault_of_the_program_is_in_the_document_too(capsys: Captured) -> None:
    """It is raised all the same, for its traceback."""

    def body() -> None:
        raise KeyError("rows")

    with pytest.raises(KeyError):
        run(body, as_json=True)
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "KeyError"


def test_a_signal_says_what_to_do_next(capsys: Captured) -> None:
    """The status is 128 and the signal's number."""

    def body() -> None:
        raise KeyboardInterrupt(15)

    assert run(body, as_json=True, stopped="repeat the command") == 143
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["message"] == "stopped by SIGTERM; repeat the command"
    assert "stopped by SIGTERM; repeat the command" in said.err


def test_ctrl_c_is_a_signal(capsys: Captured) -> None:
    """Python raises it without a number."""

    def body() -> None:
        raise KeyboardInterrupt

    assert run(body) == 130
    assert "stopped by SIGINT" in capsys.readouterr().err


def test_an_interruption_that_a_verb_handles_keeps_its_message(capsys: Captured) -> None:
    """Such as that of a training, whose state is saved."""

    def body() -> None:
        raise Interrupted(15, "stopped by SIGTERM: the state of step 7 is saved")

    assert run(body) == 143
    assert "step 7" in capsys.readouterr().err


def test_a_document_of_a_command_that_goes_on(capsys: Captured) -> None:
    """A server prints it when it is ready, and not again at its end."""

    def body() -> None:
        tell({"url": "http://127.0.0.1:3000"})
        publish()
        sys.exit(0)

    assert run(body, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"url": "http://127.0.0.1:3000"}


def test_only_the_first_of_several_processes_prints(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun shows the output of all of them."""
    monkeypatch.setenv("RANK", "1")
    run(lambda: tell({"a": 1}), as_json=True)
    assert capsys.readouterr().out == ""


def test_other_programs_print_to_stderr() -> None:
    """In a process of its own, whatever writes to the file that stdout is."""
    script = (
        "import os\n"
        "from commands.terminal import speaking, tell\n"
        "with speaking(as_json=True):\n"
        "    os.system('echo loud')\n"
        "    tell({'a': 1})\n"
        "print('after')\n"
    )
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == ('{\n  "a": 1\n}\nafter\n', "loud\n")


def test_an_installation_that_only_serves(capsys: Captured) -> None:
    """It says what to install, where a verb needs more; another missing module is a fault."""

    def body() -> None:
        raise ModuleNotFoundError("No module named 'trainer'", name="trainer.recipe")

    assert run(body) == 1
    assert "needs trainer" in (said := capsys.readouterr().err)
    assert "pip install 'tuneship[train]'" in said


COLOURS = "from commands.terminal import out, warn\nwarn('care')\nout.print('[green]passed[/]')\n"


def said_in_a_terminal(**variables: str) -> str:
    """What a command writes to a terminal, in which both of its streams are."""
    own, its = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment = {**plain, "TERM": "xterm-256color", **variables}
    subprocess.run(
        [sys.executable, "-c", COLOURS], cwd=ROOT, env=environment, stdin=its, stdout=its, stderr=its, check=True
    )
    os.close(its)
    return os.read(own, 4096).decode()


@pytest.mark.slow
def test_colours_are_for_terminals() -> None:
    """NO_COLOR turns them off there, and FORCE_COLOR on in a pipe."""
    assert "\x1b[32mpassed" in said_in_a_terminal()
    assert "\x1b" not in said_in_a_terminal(NO_COLOR="1")
    for variables, coloured in (({}, False), ({"FORCE_COLOR": "1"}, True)):
        piped = subprocess.run(
            [sys.executable, "-c", COLOURS], cwd=ROOT, env={**os.environ, **variables}, capture_output=True, check=True
        )
        assert (b"\x1b[32mpassed" in piped.stdout) is coloured


def test_numbers_that_json_has_not(capsys: Captured) -> None:
    """NaN and infinities are null, in lists too."""
    write_json({"scores": [math.nan, 1.0, (np.float64("inf"),)], "text": "naïve"})
    text = capsys.readouterr().out
    assert json.loads(text) == {"scores": [None, 1.0, [None]], "text": "naïve"}
    assert "naïve" in text
