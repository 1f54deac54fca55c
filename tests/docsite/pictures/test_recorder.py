"""Recording a terminal, and playing it as a picture."""

from __future__ import annotations

import json
import re
import subprocess
import time
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docsite.pictures.animation import read_asciicast
from docsite.pictures.recorder import IDLE, LONGEST, RecordingError, read_commands, record
from tests.paths import ROOT

PYTHON = ROOT / ".venv-site" / "bin" / "python"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

pytestmark = pytest.mark.slow


def text_of(cast: str) -> str:
    """What a recording shows, its control codes too."""
    return "".join(output for _, output in read_asciicast(cast)[1])


def ended(process: str) -> bool:
    """Whether a process is gone, or waits for a parent to ask for its status."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_what_is_typed_and_answered_is_recorded_in_order(tmp_path: Path) -> None:
    """As an asciicast of version 2, whose times only grow."""
    cast = record(["# a comment", "echo grüße 世界", "pwd"], tmp_path, ENVIRONMENT, 20).to_asciicast("test")
    header, events = read_asciicast(cast)
    assert (header["version"], header["width"], header["height"]) == (2, 80, 24)
    shown = text_of(cast)
    assert (
        shown.index("# a comment") < shown.index("echo grüße 世界") < shown.index("\ngrüße 世界") < shown.index("pwd")
    )
    assert str(tmp_path) in shown
    times = [at for at, _ in events]
    assert times == sorted(times)


def test_the_terminal_is_one_of_80_columns(tmp_path: Path) -> None:
    """So that programs print as they do for people."""
    cast = record(["stty size", "[ -t 1 ] && echo a terminal"], tmp_path, ENVIRONMENT, 20).to_asciicast("test")
    assert "24 80" in text_of(cast)
    assert "\na terminal" in text_of(cast)


def test_pauses_are_cut(tmp_path: Path) -> None:
    """And the header says what it really took."""
    recording = record(["sleep 3"], tmp_path, ENVIRONMENT, 20)
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(recording.events)]
    assert max(gaps) <= IDLE + 0.001
    assert json.loads(recording.to_asciicast("test").splitlines()[0])["elapsed"] >= 3


def test_long_output_is_shown_faster_and_a_bar_less_often(tmp_path: Path) -> None:
    """Every line that stays is there; of a bar that is drawn anew all the time few states are."""
    bar = r"for i in $(seq 300); do printf '\r\033[2K%s of 300' $i; sleep 0.03; done; printf '\ndone\n'"
    recording = record([bar], tmp_path, ENVIRONMENT, 60)
    states = [text for _, text in recording.events if re.match(r"\r\x1b\[2K\d+ of 300", text)]
    assert 10 < len(states) < 40
    assert "300 of 300" in states[-1]
    assert recording.events[-1][1].endswith("done\r\n")
    first = next(at for at, text in recording.events if states[0] == text)
    assert recording.events[-1][0] - first <= LONGEST + 0.01


@pytest.mark.parametrize(
    ("command", "told"), [("ls no-such-file", "exit status 2"), ("sleep 30", "no prompt after 2 s")]
)
def test_a_command_that_fails_or_hangs_ends_the_recording(command: str, told: str, tmp_path: Path) -> None:
    """No picture shows a failure as if it were the first hour."""
    with pytest.raises(RecordingError, match=told):
        record([command], tmp_path, ENVIRONMENT, 2)


def test_no_server_is_left_running(tmp_path: Path) -> None:
    """What a command has put into the background ends with the recording."""
    cast = record(["sleep 987 & echo pid=$!."], tmp_path, ENVIRONMENT, 20).to_asciicast("test")
    (process,) = re.findall(r"pid=(\d+)\.", text_of(cast))
    assert any(ended(process) or time.sleep(0.1) for _ in range(100))


def test_a_script_is_read_as_its_commands(tmp_path: Path) -> None:
    """Comments are typed too; a backslash continues a command."""
    script = tmp_path / "script.sh"
    script.write_text("#!/bin/bash\n# first\n\ncurl a \\\n  -d b\n")
    assert read_commands(script) == ["# first", "curl a \\\n  -d b"]


@pytest.mark.skipif(not PYTHON.is_file(), reason="no .venv-site: make generator makes it")
def test_a_recording_becomes_a_picture_that_plays(tmp_path: Path) -> None:
    """Every screen is visible from its time to the next one's; colours and overwritten text are right."""
    commands = ["printf 'half\\rwhole\\n'", "printf '\\033[1;32mgreen\\033[0m <b>&\\n'"]
    (tmp_path / "x.cast").write_text(record(commands, tmp_path, ENVIRONMENT, 20).to_asciicast("a title"))
    command = [PYTHON, "-m", "docsite.pictures.animation", tmp_path / "x.cast", tmp_path / "x.svg"]
    subprocess.run(command, check=True, cwd=ROOT)
    svg = ElementTree.fromstring((tmp_path / "x.svg").read_text())
    space = {"": "http://www.w3.org/2000/svg"}
    lines = ["".join(text.itertext()) for text in svg.findall("defs/text", space)]
    assert "whole" in lines
    assert "green<b>&" in "".join(lines).replace(" ", "")
    assert svg.find(".//tspan[@fill='#8fd19e']", space) is not None
    frames = [animation.attrib["keyTimes"].split(";") for animation in svg.findall("g/animate", space)]
    assert all(end == begin for (*_, end, _), (_, begin, *_) in pairwise(frames))
