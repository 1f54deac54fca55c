"""Workers on Ray: each row once, in order, whoever is killed; on this machine only, and nothing left of them."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from batch.answers import Tally
from batch.command import Request, choose_options, choose_output
from batch.parts import Parts
from batch.plan import Plan, describe_sources, make_job, make_plan
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from tests.batch.predicting import predict_file
from tests.paths import ROOT
from tests.serving.processes import environment, python, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'tuneship[ray]'"),
    pytest.mark.xdist_group("ray"),
]

ROWS, PER_PART = 12_000, 200


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, one of which is refused."""
    path = tmp_path_factory.mktemp("rows") / "in.jsonl"
    rows = ({"id": number, "inputs": f"where is order {number}?" if number != 777 else ""} for number in range(ROWS))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def expected(source: Path, predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Tally]:
    """The answers of one process in the same parts: on some CPUs a batch's other rows move the last digits."""
    path = tmp_path_factory.mktemp("expected") / "out.jsonl"
    tally = predict_file(predictor, source, path, rows_per_part=PER_PART)
    return path.read_bytes(), tally


Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def start(tiny_bundle: Path, source: Path, tmp_path: Path) -> Iterator[Start]:
    """Begins the command, whose processes are gone at the end."""
    started: list[subprocess.Popen[str]] = []
    short = tempfile.mkdtemp()  # the names of Ray's sockets have at most 107 letters
    command = python(
        "-m", "tuneship", "predict", tiny_bundle, "--input", source, "--output", tmp_path / "out",
        "--engine", "ray", "--workers", 2, "--rows-per-part", PER_PART,
    )  # fmt: skip

    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(TMPDIR=short), start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        for pid in (process.pid, *descendants(process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
    left = list(Path(short).iterdir())
    shutil.rmtree(short)
    assert not left or any(process.returncode == -signal.SIGKILL for process in started), "what Ray writes is removed"


def descendants(pid: int) -> dict[int, str]:
    """The processes that a process has started, and those that they have, with their commands."""
    parents, commands = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            commands[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {each: commands[each] for each in found - {pid}}


def listening(pids: set[int]) -> set[str]:
    """The addresses at which processes listen, as the kernel writes them."""
    sockets = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(str(link.readlink()))
            except FileNotFoundError:
                continue
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def done(folder: Path) -> int:
    return len(list(folder.glob("_part-*.json")))


def joined(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("part-*.jsonl")))


def test_a_killed_worker_loses_nothing(start: Start, expected: tuple[bytes, Tally], tmp_path: Path) -> None:
    """SIGKILL to a worker midway: its part is answered by another, and the rows are those of one process."""
    process = start()
    until(lambda: done(tmp_path / "out") >= 3 or process.poll() is not None, 240)
    assert process.poll() is None, process.communicate()
    ours = descendants(process.pid)
    assert listening({process.pid, *ours}) <= LOOPBACK
    workers = [pid for pid, command in ours.items() if command.startswith("ray::MapWorker")]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    assert done(tmp_path / "out") < ROWS // PER_PART
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err  # one row is refused
    assert joined(tmp_path / "out") == expected[0]
    assert f"{expected[1].answered:,} answered, 1 refused" in out
    assert "row 778: inputs is empty" in err
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert sum(part["answered"] + part["refused"] for part in manifest["parts"]) == ROWS
    assert (tmp_path / "out" / "_SUCCESS").exists()
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.suffix in {".try", ".part"}]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_command_goes_on(
    start: Start, expected: tuple[bytes, Tally], tmp_path: Path, number: signal.Signals
) -> None:
    """What is done stays; repeated, the command answers the rest only."""
    process = start()
    until(lambda: done(tmp_path / "out") >= 3 or process.poll() is not None, 240)
    assert process.poll() is None, process.communicate()
    ours = descendants(process.pid)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    if number == signal.SIGTERM:
        until(lambda: not any(Path(f"/proc/{pid}/cwd").exists() for pid in ours), 60)
        assert process.returncode == 128 + number
        assert f"of {ROWS:,} rows are kept in {tmp_path / 'out'}: repeat the command to resume" in err
    kept = recorded(tmp_path / "out")
    assert 3 <= len(kept) < ROWS // PER_PART
    again = start()
    again.communicate(timeout=300)
    assert again.returncode == 1
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert joined(tmp_path / "out") == expected[0]


def recorded(folder: Path) -> dict[Path, int]:
    """The parts that are done, and when they were written."""
    parts = [path for path in folder.glob("part-*.jsonl") if path.with_name(f"_{path.stem}.json").exists()]
    return {path: path.stat().st_mtime_ns for path in parts}


@pytest.fixture
def plan(source: Path, tiny_bundle: Path, predictor: Predictor, tmp_path: Path) -> Plan:
    """What the command would do with the rows."""
    request = Request("", str(source), f"{tmp_path}/out/", rows_per_part=5_000)
    options = choose_options(request, choose_output(request), {})
    job = make_job(describe_sources([str(source)], options), Bundle.open(tiny_bundle).digest, predictor.task, options)
    return make_plan(job, options)


def worker(plan: Plan, bundle: Path, tmp_path: Path) -> Any:
    """As Ray makes it in a process of its own."""
    from batch.engines.ray_data import Worker

    (tmp_path / "out").mkdir(exist_ok=True)
    return Worker(str(bundle), Parts(str(tmp_path / "out")), plan.job, 1)


def test_another_bundle(plan: Plan, tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """A worker that finds another bundle there than the command had answers nothing."""
    (error,) = worker(plan, tiny_int8_bundle, tmp_path)({"block": [plan.blocks[0].model_dump_json()]})["error"]
    assert f"the command that started it sha256 {plan.job.bundle}" in error
    assert not list((tmp_path / "out").glob("part-*"))


def test_a_part_that_ends_workers(plan: Plan, tiny_bundle: Path, tmp_path: Path) -> None:
    """It is not tried for ever: the error names its rows. The next command tries again."""
    block = plan.blocks[1]
    lost = worker(plan, tiny_bundle, tmp_path)
    for _ in range(4):  # begun, and never ended
        lost.parts.count_try(block.number, lost.run)
    (error,) = lost({"block": [block.model_dump_json()]})["error"]
    assert "in.jsonl: a worker was lost 4 times at rows 5,001 to 10,000; give it more memory" in error
    again = worker(plan, tiny_bundle, tmp_path)({"block": [block.model_dump_json()]})
    assert again["error"] == [""]
    assert json.loads(again["record"][0])["answered"] == 5_000
