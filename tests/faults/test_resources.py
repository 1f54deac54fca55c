"""Little memory, few descriptors, a full or read-only disk: what cannot be done is told, and the rest is right."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from bench.hostile.attacker import attack
from bench.hostile.inputs import BODIES
from deploy.measurement.process import free_port
from tests.faults.callers import Rows, ask_all, asking
from tests.faults.results import record, times
from tests.serving.processes import ServerProcess, environment, get, python, running, until

MEMORY_ABOVE_START = 400 * 2**20


@contextmanager
def limited(limits: str, bundle: Path, folder: Path, **variables: object) -> Iterator[ServerProcess]:
    """A server that a shell's limits hold for."""
    port = free_port()
    serve = python("-m", "tuneship", "serve", bundle, "--port", port)
    command = ["bash", "-c", f'{limits}; exec "$@"', "bash", *serve]
    with running(command, port, folder / "log", **variables) as server:
        yield server


def address_space(server: ServerProcess) -> int:
    """Bytes that a process has mapped."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_memory_limit(tiny_bundle: Path, rows: Rows, tmp_path: Path) -> None:
    """A server that may not grow lives through the largest bodies: it refuses or fails them, and answers the others."""
    with limited("true", tiny_bundle, tmp_path) as server:
        most = (address_space(server) + MEMORY_ABOVE_START) // 1024
    seconds = times(1, 10)
    with limited(f"ulimit -v {most}", tiny_bundle, tmp_path) as server:
        with asking(server.port, rows) as tally:
            for hostile in BODIES:
                attack(hostile, server.port, time.monotonic() + seconds / 2)
        assert server.process.poll() is None
        until(lambda: get(f"{server.url}/readyz")[0] == 200)
        assert ask_all(server.port, rows).right == len(rows)
    assert tally.wrong == []
    record("address space limited, under the largest bodies", len(BODIES), "bodies", tally)


@pytest.mark.slow
def test_few_descriptors(tiny_bundle: Path, rows: Rows, tmp_path: Path) -> None:
    """A server with few descriptors and more callers than it can hold answers again when they have gone."""
    rounds = times(2, 20)
    with limited("ulimit -n 256", tiny_bundle, tmp_path, TUNESHIP_MAX_CONNECTIONS=64) as server:
        for _ in range(rounds):
            with ExitStack() as stack, suppress(ConnectionError):  # those past the bound are refused
                for _ in range(400):
                    stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            until(lambda: get(f"{server.url}/livez")[0] == 200)
            tally = ask_all(server.port, rows)
            assert (tally.right, tally.wrong) == (len(rows), [])
    record("256 descriptors, 400 connections at once", rounds, "times", tally)


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own; skips where this process may not mount one."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a file system needs more rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def predict(bundle: Path, source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = python("-m", "tuneship", "predict", bundle, "--input", source, "--output", target)
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_full_disk(tiny_bundle: Path, tmp_path: Path) -> None:
    """`tuneship predict` onto a full disk says so, and leaves what was there before."""
    source = tmp_path / "in.jsonl"
    source.write_text('{"inputs": "where is my parcel?"}\n' * 200)
    with small_disk(tmp_path / "disk", "size=64k") as disk:
        (disk / "filler").write_bytes(bytes(40_000))
        (disk / "out.jsonl").write_text("of before\n")
        result = predict(tiny_bundle, source, disk / "out.jsonl")
        assert result.returncode == 1
        assert "no space left on device" in result.stderr
        assert "Traceback" not in result.stderr
        assert sorted(path.name for path in disk.iterdir()) == ["filler", "out.jsonl"]
        assert (disk / "out.jsonl").read_text() == "of before\n"
    record("`tuneship predict` onto a full disk", 1, "times", seen="a message, and the file of before")


@pytest.mark.slow
def test_read_only_disk(tiny_bundle: Path, rows: Rows, tmp_path: Path) -> None:
    """A server reads its bundle from a read-only disk, and `tuneship predict` onto one says what it cannot do."""
    source = tmp_path / "in.jsonl"
    source.write_text('{"inputs": "where is my parcel?"}\n')
    with small_disk(tmp_path / "disk", "size=20m") as disk:
        bundle = Path(shutil.copytree(tiny_bundle, disk / "bundle"))
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with limited("true", bundle, tmp_path) as server:
            tally = ask_all(server.port, rows)
        result = predict(bundle, source, disk / "out.jsonl")
    assert (tally.right, tally.wrong) == (len(rows), [])
    assert result.returncode == 1
    assert "read-only file system" in result.stderr
    assert "Traceback" not in result.stderr
    record("bundle on a read-only disk", 1, "times", tally, "`tuneship predict` onto it: a message")
