"""A `bentoml serve` for the tests of batches and of the model in BentoML's store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from deploy.measurement.process import free_port
from tests.serving.processes import ServerProcess, python, running


def bentoml_serve(folder: Path, **variables: object) -> AbstractContextManager[ServerProcess]:
    """A real process with a BentoML home in the folder, its log beside."""
    port = free_port()
    command = python("-m", "bentoml", "serve", "serving.service:Tuneship", "--host", "127.0.0.1", "--port", port)
    home = {"BENTOML_HOME": folder / "home", "BENTOML_DO_NOT_TRACK": "True"}
    return running(command, port, folder / "log", **{**home, **variables})
