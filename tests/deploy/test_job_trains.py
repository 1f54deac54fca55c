"""The command of the Kubernetes job, run here as two pods would: one training, whose run is at the object store."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.measurement.process import free_port
from stores.runs.finished import pull_any
from stores.targets import parse_target
from tests import tiny
from tests.deploy.test_train_job import container
from tests.paths import ROOT
from trainer.run.run import Run


def start_pods(folder: Path) -> list[subprocess.Popen[str]]:
    """Both pods of the job; the folder has the recipe, the volume that they share, and the bucket."""
    script = container()["args"][0].replace("/recipe/", f"{folder}/recipe/").replace("/runs/", f"{folder}/runs/")
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # torchrun, as in the image
    environment = {
        **os.environ, "PATH": programs, "NODES": "2", "RENDEZVOUS": f"127.0.0.1:{free_port()}",
        "STATE_TO": f"file://{folder}/bucket/one", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return [
        subprocess.Popen(
            ["/bin/sh", "-ec", script], env={**environment, "JOB_COMPLETION_INDEX": str(index)}, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for index in range(2)
    ]  # fmt: skip


@pytest.mark.slow
def test_two_pods_train_one_model(tiny_backbone: Path, tmp_path: Path) -> None:
    """Both are told to stop, the volume is lost, both are started anew: the training goes on, and the run is kept."""
    (tmp_path / "recipe").mkdir()
    tiny.write_recipe(tmp_path / "recipe", tiny_backbone, training={"num_train_epochs": 60})
    pods = start_pods(tmp_path)
    deadline = time.monotonic() + 400
    while not list((tmp_path / "bucket").glob("one/states/0*.json")):
        assert all(pod.poll() is None for pod in pods), [pod.communicate()[0] for pod in pods]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for pod in pods:
        pod.send_signal(signal.SIGTERM)
    told = [pod.communicate(timeout=120)[0] for pod in pods]
    assert sum(text.count("stopped by SIGTERM: the state of step") for text in told) == 1, told
    shutil.rmtree(tmp_path / "runs")
    pods = start_pods(tmp_path)
    told = [pod.communicate(timeout=400)[0] for pod in pods]
    assert [pod.returncode for pod in pods] == [0, 0], told
    assert sum(text.count("resuming from step") for text in told) == 1
    pull_any(parse_target(f"file://{tmp_path}/bucket/one"), tmp_path / "pulled")
    assert Run.open(tmp_path / "pulled").read_record()["status"] == "finished"
