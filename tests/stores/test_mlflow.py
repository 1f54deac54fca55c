"""MLflow: a push registers a model that its own server serves, with our answers; a pull reads the bundle alone."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.measurement.process import free_port
from serving.errors import InputError
from serving.inference.predictor import Predictor
from stores.errors import Missing, StoreError
from stores.mlflow_model import _load_pyfunc, to_inputs
from stores.pull import pull
from stores.push import push
from stores.store import open_store
from stores.targets import parse_target
from tests.bundles import forge, manifest_of
from tests.stores.mlflow_server import MISSING, listening, running_mlflow

TEXTS = ["where is my parcel?", "refund order 17"]


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server."""
    with running_mlflow(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


def ask(port: int, body: object) -> tuple[int, Any]:
    """Status and answer of `mlflow models serve`."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=MISSING or "there is one")
def test_there_and_back(mlflow_server: str, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions, an alias that moves, and `mlflow models serve`, whose answers are the bundle's."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    mlflow.set_tracking_uri(mlflow_server)
    older = forge(tiny_bundle, tmp_path / "older", data_warnings=["older"])
    champion = parse_target("mlflow:intents@champion")
    with pytest.raises(Missing, match="no such model, version or alias"):
        pull(champion, tmp_path / "none")
    push(older, champion)
    push(older, champion)
    push(tiny_bundle, parse_target("mlflow:intents"))
    assert pull(champion, tmp_path / "champion") == manifest_of(older).digest
    assert pull(parse_target("mlflow:intents"), tmp_path / "latest") == manifest_of(tiny_bundle).digest
    assert pull(parse_target("mlflow:intents/1"), tmp_path / "first") == manifest_of(older).digest
    push(tiny_bundle, champion)
    assert mlflow.MlflowClient().get_model_version_by_alias("intents", "champion").version == "3"
    with pytest.raises(InputError, match="a push makes the next one"):
        push(older, parse_target("mlflow:intents/3"))

    files = Path(mlflow.artifacts.download_artifacts("models:/intents@champion", dst_path=str(tmp_path / "model")))
    assert not [path for path in files.rglob("*") if path.suffix in {".pkl", ".py"}]
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "models:/intents@champion"]
    with listening([*command, "--env-manager", "local", "--port", str(port)], port, "/ping", tmp_path):
        expected = {"predictions": Predictor.open(tiny_bundle).predict(TEXTS)}
        assert ask(port, {"inputs": TEXTS}) == (200, expected)
        assert (
            ask(port, {"dataframe_split": {"columns": ["inputs"], "data": [[text] for text in TEXTS]}})[1] == expected
        )
        status, refusal = ask(port, {"inputs": ["fine", ""]})
        assert status == 400
        assert "inputs[1]" in refusal["message"]


def test_inputs() -> None:
    """Lists, arrays and tables are inputs; a table's rows, where no column is named inputs."""
    import numpy as np
    import pandas as pd

    pair = {"question": "who?", "context": "me"}
    assert to_inputs(TEXTS) == to_inputs(np.array(TEXTS, dtype=object)) == TEXTS
    assert to_inputs({"inputs": np.array(TEXTS)}) == to_inputs(pd.DataFrame({"any": TEXTS})) == TEXTS
    assert to_inputs(pd.DataFrame({"inputs": TEXTS, "id": [1, 2]})) == TEXTS
    assert to_inputs(pd.DataFrame([pair])) == to_inputs(pair) == [pair]


def test_the_loaded_model(tiny_bundle: Path) -> None:
    """It answers as the predictor does, and refuses parameters."""
    from mlflow.exceptions import MlflowException

    model = _load_pyfunc(str(tiny_bundle))
    assert model.predict(TEXTS) == Predictor.open(tiny_bundle).predict(TEXTS)
    for inputs, params in ((TEXTS, {"top_k": 1}), ([""], None)):
        with pytest.raises(MlflowException) as caught:
            model.predict(inputs, params)
        assert caught.value.get_http_status_code() == 400


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network is a message; so is a name that is none."""
    import mlflow

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    with pytest.raises(StoreError, match=r"the server cannot be reached; .*MLFLOW_TRACKING_URI"):
        pull(parse_target("mlflow:one"), tmp_path / "out")
    for name in ("a/b/c", "a@", "a/0", "a:1", "a/champion"):
        with pytest.raises(InputError, match="give mlflow:NAME"):
            open_store(parse_target(f"mlflow:{name}"))
