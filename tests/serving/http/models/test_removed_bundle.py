"""Once a bundle is served, its folder is not needed: removed, replaced or overwritten, every answer stays."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.http.models.sources import BundleFolder
from tests.tiny import LABELS

TEXT = "where is my parcel?"
CHOICES = [{"value": label} for label in LABELS]
REQUESTS = [
    *(("GET", path, None) for path in (
        "/", "/models", "/info", "/card", "/openapi.json", "/docs.json", "/metrics", "/readyz", "/health", "/v1/models",
        "/v1/models/m", "/v2", "/v2/models/m", "/v2/models/m/ready", "/models/m/info", "/models/m/card",
        "/models/m/openapi.json", "/tei/info",
    )),
    *(("POST", path, {"inputs": TEXT}) for path in (
        "/", "/predict", "/models/m", "/tei/predict", "/explain", "/invocations",
    )),
    *(("POST", "/predict", {"inputs": TEXT, "parameters": each}) for each in (
        {"truncation_direction": "left"}, {"truncation_direction": "right"}, {"top_k": 1},
        {"function_to_apply": "sigmoid"}, {"truncate": False},
    )),
    *(("POST", "/explain", {"inputs": TEXT, "parameters": each}) for each in (
        {"method": "shap"}, {"truncation_direction": "left"}, {"granularity": "token"}, {"replacement": "pad"},
    )),
    ("POST", "/classify", {"input": TEXT}),
    ("POST", "/v1/decisions", {
        "input": TEXT, "questions": [{"type": "choice", "instructions": "?", "choices": CHOICES}]
    }),
    ("POST", "/v2/models/m/infer", {
        "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}]
    }),
]  # fmt: skip


def overwrite(folder: Path) -> None:
    """Other bytes in every file, without another inode."""
    for path in folder.iterdir():
        path.write_bytes(b"{}")


@pytest.mark.parametrize("end", [shutil.rmtree, overwrite])
def test_every_endpoint(tiny_bundle: Path, tmp_path: Path, end: Callable[[Path], None]) -> None:
    """Every endpoint answers as before, with every parameter that could need another file."""
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    expected = (folder / "README.md").read_text()
    source = BundleFolder(folder, "m", limits={"max_inputs": 4})
    source.preload()
    with TestClient(create_app(source)) as client:
        end(folder)
        for method, path, body in REQUESTS:
            response = client.request(method, path, json=body)
            assert response.status_code == 200, (path, body, response.text)
        assert client.get("/card").text == expected
        paths = client.get("/openapi.json").json()["paths"]
        asked = {path.replace("/m", "/{model}") if path.startswith("/models/m") else path for _, path, _ in REQUESTS}
        assert {path for path in paths if "{model}" not in path} <= asked | OTHERS


OTHERS = {
    "/livez", "/v2/health/live", "/v2/health/ready", "/tei/health", "/tei/metrics", "/ping", "/execution-parameters",
    "/rerank", "/tei/rerank", "/v1/rerank", "/v2/rerank",
}  # fmt: skip
"""Endpoints that ask no model, or one of another task."""
