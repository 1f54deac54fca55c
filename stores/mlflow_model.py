"""A bundle as a model of MLflow's ``python_function`` flavour: what `mlflow models serve` loads.

The model's folder names this module and holds data only, no code and no pickle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serving.errors import InputError, UserError
from serving.inference.predictor import Predictor
from serving.settings.settings import available_cpus, required_date, required_key

COLUMN = "inputs"


class BundleModel:
    """Answers as ``POST /predict`` does."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> list[Any]:
        """Raises MlflowException, which its server answers with status 400.

        Args:
            model_input: a list or array of inputs, a table with a column ``inputs``, or a table whose rows are inputs.
            params: there are none.
        """
        try:
            if params:
                raise InputError(f"there are no params; given are {', '.join(sorted(params))}", field="params")
            return self._predictor.predict(to_inputs(model_input))
        except InputError as error:
            from mlflow.exceptions import MlflowException
            from mlflow.protos.databricks_pb2 import BAD_REQUEST

            raise MlflowException(str(error), error_code=BAD_REQUEST) from error


def to_inputs(given: Any) -> list[Any]:
    """What MLflow's server makes of a request, as inputs."""
    if hasattr(given, "to_dict"):  # pandas is not among what a server needs
        one = COLUMN if COLUMN in given.columns else given.columns[0] if len(given.columns) == 1 else None
        return list(given[one]) if one is not None else list(given.to_dict("records"))
    if isinstance(given, dict):
        return to_inputs(given[COLUMN]) if given.keys() == {COLUMN} else [given]
    return list(given.tolist()) if hasattr(given, "tolist") else [given] if isinstance(given, str) else list(given)


def _load_pyfunc(path: str) -> BundleModel:
    """The name that MLflow asks for. Raises UserError, which ends its server."""
    try:
        key, date = required_key(), required_date()
        return BundleModel(Predictor.open(Path(path), threads=available_cpus(), trusted_key=key, created_after=date))
    except UserError as error:
        raise SystemExit(f"error  {error}") from error
