"""A command that was stopped goes on where it was: each row is answered once, and nothing is half-written."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Encoding

from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.inference.predictor import Predictor
from serving.tasks.base import Logits
from tests.batch.predicting import predict_file
from tests.paths import ROOT
from tests.serving.processes import environment, python, until


class Failing(Predictor):
    """A predictor that fails after some calls."""

    calls = 0

    def run(self, windows: Sequence[Encoding]) -> list[Logits]:
        """The real logits, three times."""
        self.calls += 1
        if self.calls > 3:
            raise RuntimeError("no memory")
        return super().run(windows)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """100 rows, of which one is refused."""
    rows = [{"id": number, "inputs": f"order {number}" if number != 33 else ""} for number in range(100)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "in.jsonl"


@pytest.fixture
def stopped(tiny_bundle: Path, source: Path, tmp_path: Path) -> Path:
    """What a command leaves that has failed after 30 rows of the 100."""
    with pytest.raises(RuntimeError, match="no memory"):
        predict_file(Failing(Bundle.open(tiny_bundle)), source, tmp_path / "out.jsonl", rows_per_part=10)
    return tmp_path / "out.jsonl.partial"


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_goes_on(predictor: Predictor, source: Path, stopped: Path, tmp_path: Path) -> None:
    """Only the rest is answered, and the file is the one of a command that was not stopped."""
    assert not (tmp_path / "out.jsonl").exists()
    told: list[int] = []
    tally = predict_file(predictor, source, tmp_path / "out.jsonl", told.append, rows_per_part=10)
    assert sum(told) == 70
    assert (tally.answered, tally.refused) == (99, 1)
    assert tally.first_refusal.startswith("row 34: inputs is empty")
    assert not stopped.exists()
    predict_file(predictor, source, tmp_path / "whole.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_another_input(predictor: Predictor, source: Path, stopped: Path, tmp_path: Path) -> None:
    """Answers of other rows are no part of these; --restart discards them."""
    source.write_text('{"inputs": "stop"}\n')
    with pytest.raises(InputError, match=r"holds answers of another command: .*in\.jsonl was changed.*--restart"):
        predict_file(predictor, source, tmp_path / "out.jsonl", rows_per_part=10)
    assert stopped.is_dir()
    assert predict_file(predictor, source, tmp_path / "out.jsonl", rows_per_part=10, restart=True).answered == 1
    assert not stopped.exists()


def test_another_bundle(int8_predictor: Predictor, source: Path, stopped: Path, tmp_path: Path) -> None:
    """Nor are answers of another model."""
    with pytest.raises(InputError, match=r"another command: the bundle was sha256 \w{12}…, and is sha256 \w{12}… now"):
        predict_file(int8_predictor, source, tmp_path / "out.jsonl", rows_per_part=10)


def test_other_options(predictor: Predictor, source: Path, stopped: Path, tmp_path: Path) -> None:
    """Nor are parts of other sizes."""
    with pytest.raises(InputError, match="the form of the output, or --rows-per-part"):
        predict_file(predictor, source, tmp_path / "out.jsonl", rows_per_part=11)


def test_altered_part(predictor: Predictor, source: Path, stopped: Path, tmp_path: Path) -> None:
    """A part that somebody has changed is not joined."""
    part = stopped / "part-00001.jsonl"
    part.write_bytes(part.read_bytes().replace(b"order 11", b"order 12"))
    with pytest.raises(InputError, match=r"part-00001\.jsonl was altered since it was written; --restart"):
        predict_file(predictor, source, tmp_path / "out.jsonl", rows_per_part=10)
    assert not (tmp_path / "out.jsonl").exists()


def test_planted_state(predictor: Predictor, source: Path, tmp_path: Path) -> None:
    """A link in the place of the parts' folder is not followed."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out.jsonl.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is not a folder that this user has made"):
        predict_file(predictor, source, tmp_path / "out.jsonl")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_signals(tiny_bundle: Path, predictor: Predictor, tmp_path: Path, number: signal.Signals) -> None:
    """A killed process loses at most the part it was at; one that is stopped says how to go on."""
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"id": each, "inputs": f"order {each}"}) + "\n" for each in range(20_000)))
    state = tmp_path / "out.jsonl.partial"
    command = python(
        "-m", "tuneship", "predict", tiny_bundle, "-i", source, "-o", target, "--rows-per-part", 500, "--threads", 1
    )
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True)
    until(lambda: len(list(state.glob("_part-*.json"))) >= 2, 120)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert not target.exists()
    kept = {path: path.stat().st_mtime_ns for path in state.glob("part-*.jsonl")}
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        assert f"of 20,000 rows are kept in {state}: repeat the command to resume" in err
        assert "Traceback" not in err
    assert 2 <= len(list(state.glob("_part-*.json"))) < 40
    time.sleep(0.01)
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True) as again:
        while again.poll() is None and state.exists():
            done = [path for path in kept if path.exists() and (state / f"_{path.stem}.json").exists()]
            assert all(path.stat().st_mtime_ns == kept[path] for path in done if path.exists())
            time.sleep(0.2)
    assert again.returncode == 0
    rows = rows_of(target)
    assert [row["id"] for row in rows] == [*range(20_000)]
    assert all("outputs" in row for row in rows)
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "out.jsonl"}
