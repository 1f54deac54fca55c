"""MLflow: the server of MLFLOW_TRACKING_URI, or a database in the run's folder."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # of its 7, each waits twice as long as the one before

import mlflow
from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import MLflowCallback

from trainer.run.tracking.tracker import PROJECT, Results, Tracker, flatten

logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of each table that it makes

_VARIABLE = "MLFLOW_TRACKING_URI"
_LONGEST_VALUE, _PARAMETERS_AT_ONCE = 6000, 100


class _Curves(MLflowCallback):  # type: ignore[misc]
    """Into the active run, which Tuneship opens and closes; a failure shows where it happens."""

    def __init__(self) -> None:
        super().__init__()
        self._async_log = False

    def setup(self, args: TrainingArguments, state: TrainerState, model: Any) -> None:
        self._initialized = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Nothing: a state of the training is no model."""


class MLflow(Tracker):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = os.environ.get(_VARIABLE)

    def open(self, run_id: str | None, name: str, config: Mapping[str, Any]) -> str:
        self.callback = _Curves()
        mlflow.set_tracking_uri(self._uri())
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        active = mlflow.start_run(run_id=run_id, experiment_id=self._experiment(experiment), run_name=name)
        if run_id is None:
            parameters = [(_accepted(key), str(value)[:_LONGEST_VALUE]) for key, value in flatten(config).items()]
            for start in range(0, len(parameters), _PARAMETERS_AT_ONCE):
                mlflow.log_params(dict(parameters[start : start + _PARAMETERS_AT_ONCE]))
        return str(active.info.run_id)

    def log_results(self, results: Results) -> None:
        mlflow.log_metrics({_accepted(name): value for name, value in results.metrics.items()}, step=results.step)
        for path in results.figures:
            mlflow.log_artifact(str(path), "figures")

    def close(self, complete: bool) -> None:
        try:
            mlflow.end_run("FINISHED" if complete else "KILLED")
        finally:
            mlflow.set_tracking_uri(None)
            if self._server:  # set_tracking_uri writes the variable
                os.environ[_VARIABLE] = self._server
            else:
                os.environ.pop(_VARIABLE, None)

    def log_digest(self, run_id: str, digests: Mapping[str, str]) -> None:
        with _quick():
            client = mlflow.MlflowClient(tracking_uri=self._uri())
            for name, digest in digests.items():
                client.set_tag(run_id, name, digest)

    def _uri(self) -> str:
        if self._server:
            return self._server
        self.folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.folder.resolve() / 'mlflow.db'}"

    def _experiment(self, name: str) -> str:
        """Its id; artifacts of a local one lie beside its database."""
        found = mlflow.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        artifacts = None if self._server else (self.folder.resolve() / "artifacts").as_uri()
        return str(mlflow.create_experiment(name, artifact_location=artifacts))


def _accepted(name: str) -> str:
    """What MLflow takes in a name."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)


@contextmanager
def _quick() -> Iterator[None]:
    """A bundle does not wait for a server that does not answer."""
    before = os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]
