"""MLflow's registry of models: ``mlflow:name[@alias]``, ``mlflow:name/version``.

Its client reads MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN and others. `stores.mlflow_model` answers for the model.
"""

from __future__ import annotations

import io
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # of its 7, each waits twice as long as the one before

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from serving import VERSION
from serving.bundle.manifest import MANIFEST
from serving.errors import InputError
from serving.files import open_regular
from stores.errors import Missing, readable
from stores.kinds.paths import BYTES_AT_ONCE
from stores.store import require
from stores.targets import Target

FOLDER = "data/bundle"
"""Of the model, where the bundle is; nothing else of the model is read."""

LOADER = "stores.mlflow_model"
_NAME = re.compile(r"(?P<name>[^/:@]+)(@(?P<alias>[\w.-]+)|/(?P<version>[1-9]\d{0,9}))?")

logging.getLogger("mlflow").setLevel(logging.ERROR)


@dataclass(frozen=True)
class ModelVersion:
    target: Target
    name: str
    version: str

    @cached_property
    def _artifacts(self) -> Any:
        return get_artifact_repository(f"models:/{self.name}/{self.version}")

    @cached_property
    def _sizes(self) -> dict[str, int]:
        with readable(self.target, explain):
            return dict(self._walk(FOLDER))

    def _walk(self, folder: str) -> Iterator[tuple[str, int]]:
        for entry in self._artifacts.list_artifacts(folder):
            if entry.is_dir:
                yield from self._walk(entry.path)
            else:
                yield entry.path.removeprefix(f"{FOLDER}/"), entry.file_size

    def sizes(self) -> Mapping[str, int]:
        return self._sizes

    @contextmanager
    def read(self, name: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        """MLflow's client knows whole files only."""
        if name not in self._sizes:
            raise Missing(f"{self.target}: the model has no file {FOLDER}/{name}")
        with tempfile.TemporaryDirectory(prefix="tuneship-") as folder, readable(self.target, explain):
            path = Path(self._artifacts.download_artifacts(f"{FOLDER}/{name}", folder))
            with open_regular(path, follow=False) as file:
                file.seek(start)
                yield iter(lambda: file.read(BYTES_AT_ONCE), b"")


@dataclass(frozen=True)
class RegisteredModel:
    """A push logs a model, registers it as the next version, and then moves the alias, if one is given."""

    target: Target
    name: str
    alias: str | None
    version: str | None
    versioned: bool = True

    def snapshot(self) -> ModelVersion:
        with readable(self.target, explain):
            return ModelVersion(self.target, self.name, self.version or self._find())

    def _find(self) -> str:
        client = mlflow.MlflowClient()
        try:
            if self.alias:
                return str(client.get_model_version_by_alias(self.name, self.alias).version)
            quoted = self.name.replace("'", "''")
            versions = [int(each.version) for each in client.search_model_versions(f"name='{quoted}'")]
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            versions = []
        if not versions:
            raise Missing(f"{self.target}: the registry has no such model, version or alias")
        return str(max(versions))

    def write(self, folder: Path, names: Sequence[str], stale: Sequence[str]) -> None:
        if self.version:
            raise InputError(f"{self.target}: names a version; a push makes the next one: give mlflow:NAME[@ALIAS]")
        require(MANIFEST in names, self.target, "a bundle to push; MLflow keeps no runs of ours")
        with readable(self.target, explain), tempfile.TemporaryDirectory(prefix="tuneship-") as parent:
            data = Path(parent) / Path(FOLDER).name
            data.symlink_to(folder, target_is_directory=True)
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                version = self._register(data)
            if self.alias:
                mlflow.MlflowClient().set_registered_model_alias(self.name, self.alias, version)

    def _register(self, data: Path) -> str:
        import mlflow.pyfunc

        with mlflow.start_run(run_name=f"tuneship push {self.name}"):
            info = mlflow.pyfunc.log_model(
                name="bundle",
                loader_module=LOADER,
                data_path=str(data),
                pip_requirements=[f"tuneship=={VERSION}"],
                registered_model_name=self.name,
            )
        return str(info.registered_model_version)


def open_store(target: Target) -> RegisteredModel:
    found = _NAME.fullmatch(target.name)
    require(found is not None, target, "mlflow:NAME, mlflow:NAME@ALIAS or mlflow:NAME/VERSION")
    assert found is not None
    return RegisteredModel(target, found["name"], found["alias"], found["version"])


def explain(error: Exception) -> str | None:
    """What its client says of HTTP has the status in the text only."""
    if not isinstance(error, MlflowException):
        return None
    if error.error_code == "RESOURCE_DOES_NOT_EXIST":
        return "the registry has no such model, version or alias"
    if error.error_code in ("UNAUTHENTICATED", "PERMISSION_DENIED") or re.search(r"\b40[13]\b", str(error)):
        return "the server refuses: MLFLOW_TRACKING_TOKEN, or user and password, are missing, expired or revoked"
    if "Max retries exceeded" in str(error) or "Connection" in str(error):
        return "the server cannot be reached; check the network and MLFLOW_TRACKING_URI"
    return None
