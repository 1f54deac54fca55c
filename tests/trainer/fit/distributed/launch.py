"""Real processes, as torchrun and accelerate start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.measurement.process import free_port
from tests.paths import ROOT

PROCESSES = 2


def torchrun(*command: str) -> subprocess.CompletedProcess[str]:
    """A module and its arguments in two processes, on this machine and a free port."""
    return _launch("torch.distributed.run", "--nproc-per-node", str(PROCESSES), "--standalone", "-m", *command)


def accelerate(*command: str) -> subprocess.CompletedProcess[str]:
    """The same by ``accelerate launch``, which needs --multi_gpu to start several processes on CPUs too."""
    ports = ["--main_process_port", str(free_port())]
    return _launch(
        "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_processes", str(PROCESSES), *ports, "-m",
        *command,
    )  # fmt: skip


def _launch(*module: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )  # fmt: skip


def train_in_processes(folder: Path, jobs: Sequence[dict[str, Any]]) -> None:
    """The trainings of ``jobs``: ``recipe``, ``output`` and, of one to stop, the step ``stop_at``."""
    listed = folder / "jobs.json"
    listed.write_text(json.dumps(jobs), encoding="utf-8")
    done = torchrun("tests.trainer.fit.distributed.worker", str(listed))
    assert done.returncode == 0, done.stderr[-5000:]
