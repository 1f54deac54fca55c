"""What SageMaker, Vertex AI and Cloud Run tell a container, as settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import InputError
from serving.settings import platforms
from serving.settings.platforms import DEFAULT_BUNDLE, Platform, listening_port, served_bundle
from serving.settings.settings import ServerSettings
from tests.serving.processes import run_python


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SageMaker's folder for the model, here."""
    folder = tmp_path / "opt" / "ml" / "model"
    monkeypatch.setattr(platforms, "MODEL_FOLDER", folder)
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("variables", "port"),
    [
        ({}, 3000),
        ({"PORT": ""}, 3000),
        ({"PORT": "8081"}, 8081),  # Cloud Run
        ({"AIP_HTTP_PORT": "7080"}, 7080),
        ({"SAGEMAKER_BIND_TO_PORT": "15000"}, 15000),
        ({"SAGEMAKER_BATCH": "true"}, 8080),
        ({"PORT": "9000", "AIP_HTTP_PORT": "7080"}, 9000),
    ],
)
def test_port(variables: dict[str, str], port: int, model: Path) -> None:
    """An own PORT goes first."""
    assert listening_port(variables) == port


@pytest.mark.parametrize("name", ["PORT", "AIP_HTTP_PORT"])
@pytest.mark.parametrize("value", ["http", "65536", "0"])
def test_no_port(name: str, value: str) -> None:
    """Is refused."""
    with pytest.raises(InputError, match="a whole number from 1 to 65,535 is accepted"):
        listening_port({name: value})


def test_no_platform(model: Path) -> None:
    """The bundle beside the package, and no further paths; an empty model folder is none."""
    settings = ServerSettings.from_environment({"AIP_STORAGE_URI": "", "AIP_PREDICT_ROUTE": ""})
    assert (settings.bundle, settings.platform) == (DEFAULT_BUNDLE, Platform())


def test_sagemakers_model(model: Path) -> None:
    """Whatever lies there is the model, at the port that SageMaker asks; a variable of ours goes first."""
    (model / "wrong.txt").touch()
    assert (served_bundle({}), listening_port({})) == (str(model), 8080)
    own = {"TUNESHIP_BUNDLE": "/srv/bundle", "PORT": "3000"}
    assert (served_bundle(own), listening_port(own)) == ("/srv/bundle", 3000)


def test_vertexs_artifacts(model: Path) -> None:
    """A target, unchanged."""
    variables = {"AIP_STORAGE_URI": "gs://caip-tenant-1/model", "AIP_HTTP_PORT": "8080"}
    assert served_bundle(variables) == "gs://caip-tenant-1/model"


def test_vertexs_routes() -> None:
    """Such as it makes them up."""
    routes = {"AIP_HEALTH_ROUTE": "/v1/endpoints/12/deployedModels/34", "AIP_PREDICT_ROUTE": "/v1/x/34:predict"}
    settings = ServerSettings.from_environment(routes)
    assert settings.platform == Platform(*routes.values())


@pytest.mark.parametrize("value", ["predict", "/{model}", "/a?b", "/a b", "/%41", "http://a.org/x", "/é"])
@pytest.mark.parametrize("name", ["AIP_HEALTH_ROUTE", "AIP_PREDICT_ROUTE"])
def test_no_route(name: str, value: str) -> None:
    """Is refused at the start."""
    with pytest.raises(InputError, match=f"{name} is .*; a path such as /predict is accepted"):
        ServerSettings.from_environment({name: value})


def test_one_record_a_request() -> None:
    """A transform job waits for its answers, and chooses the size of a body."""
    variables = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "8"}
    settings = ServerSettings.from_environment(variables)
    assert settings.server_limits.wait_seconds == settings.server_limits.generation_seconds == 3600
    assert settings.limits == {"max_body_bytes": 8 * 2**20}


def test_several_records_a_request() -> None:
    """As many lines as the payload holds fit into a request and into the queue; variables of ours go first."""
    variables = {
        "SAGEMAKER_BATCH": "true", "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1",
        "TUNESHIP_MAX_BODY_BYTES": "100",
    }  # fmt: skip
    settings = ServerSettings.from_environment(variables)
    lines = 2**20 // len('{"inputs":"a"}\n')
    assert settings.limits == {"max_inputs": lines, "max_body_bytes": 100}
    assert settings.server_limits.bounds.rows >= 2 * lines
    with pytest.raises(InputError, match="SAGEMAKER_BATCH_STRATEGY is 'ALL'; accepted are: SINGLE_RECORD"):
        ServerSettings.from_environment({"SAGEMAKER_BATCH": "true", "SAGEMAKER_BATCH_STRATEGY": "ALL"})


def test_for_the_entry_point() -> None:
    """The port alone is printed, and the module needs no model library."""
    script = "import runpy, sys; runpy.run_module('serving.settings.platforms', run_name='__main__')\n"
    script += "assert not {'numpy', 'starlette', 'onnxruntime'} & sys.modules.keys()"
    result = run_python(script, AIP_HTTP_PORT=7080)
    assert (result.returncode, result.stdout) == (0, "7080\n"), result.stderr
