"""Behind a load balancer that routes by a path prefix, whether or not it strips it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import InferenceClient
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from serving.errors import InputError
from serving.http.app import create_app
from serving.http.root_path import public_prefix
from serving.inference.predictor import Predictor
from serving.settings.access import AccessPolicy
from serving.settings.settings import ServerSettings
from tests.serving.processes import ServerProcess, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KEY = "first-key-0123456789"
FORWARDED = {"X-Forwarded-Prefix": "/support"}


@pytest.fixture(scope="module")
def prefixed(predictor: Predictor) -> Iterator[TestClient]:
    """A client of an app at a prefix, which wants a key."""
    policy = AccessPolicy(api_keys=(KEY,))
    app = create_app(lambda: predictor, access_policy=policy, root_path="/support")
    with TestClient(app, headers={"X-API-Key": KEY}) as client:
        yield client


@pytest.mark.parametrize("prefix", ["", "/support"])
def test_paths(prefixed: TestClient, prefix: str) -> None:
    """With the prefix, and without it, as a balancer that strips it or a probe sends them."""
    name = prefixed.get("/info").json()["served_as"]
    for path in ("/predict", f"/models/{name}/predict", "/"):
        assert prefixed.post(f"{prefix}{path}", json={"inputs": "a"}).status_code == 200
    assert prefixed.post("/support", json={"inputs": "a"}).status_code == 200
    assert prefixed.get(f"{prefix}/readyz", headers={"X-API-Key": ""}).status_code == 200
    assert prefixed.get(f"{prefix}/metrics", headers={"X-API-Key": ""}).status_code == 401
    assert prefixed.post(f"{prefix}/v1/embeddings", json={"input": "a"}).json()["error"]["type"] == "validation"
    assert 'route="/models/{model}/predict"' in prefixed.get("/metrics").text
    assert "/support" not in prefixed.get("/metrics").text


def test_other_paths(prefixed: TestClient) -> None:
    """A longer name is another path, and the prefix counts once."""
    for path in ("/supporters/predict", "/support/support/predict", "/Support/predict"):
        assert prefixed.post(path, json={"inputs": "a"}).status_code == 404


def test_document(prefixed: TestClient, client: TestClient) -> None:
    """Names the address that callers see: by the option, or by what the balancer tells."""
    paths = prefixed.get("/support/openapi.json").json()["paths"]
    assert prefixed.get("/openapi.json").json()["servers"] == [{"url": "/support"}]
    assert client.get("/openapi.json", headers=FORWARDED).json()["servers"] == [{"url": "/support"}]
    assert "servers" not in client.get("/openapi.json").json()
    assert "/predict" in paths
    assert client.post("/support/predict", json={"inputs": "a"}, headers=FORWARDED).status_code == 404


@pytest.mark.parametrize(
    ("header", "root_path", "wanted"),
    [
        ("/support", "", "/support"),
        ("/support/", "/support", "/support"),
        ("/outer", "/support", "/outer/support"),
        ("/outer, /support", "", "/outer/support"),
        ("//example.org", "/support", "/support"),
        ("https://example.org", "", ""),
        ("/a/../b", "", ""),
        ("/a?b", "", ""),
        ("support", "", ""),
        ("/é", "", ""),
        ("/a" * 9, "", ""),
    ],
)
def test_header(header: str, root_path: str, wanted: str) -> None:
    """It can name a path of this host, and no other host."""
    assert public_prefix(Headers({"X-Forwarded-Prefix": header.encode("utf-8").decode("latin-1")}), root_path) == wanted


def test_two_headers() -> None:
    """They are one list, as two balancers write it."""
    raw = [(b"x-forwarded-prefix", b"/outer"), (b"x-forwarded-prefix", b"/support")]
    assert public_prefix(Headers(raw=raw), "/support") == "/outer/support"


@pytest.mark.parametrize("value", ["support", "//support", "/a/../b", "/a b", "/a?b", "https://example.org/a", "/%41"])
def test_malformed_setting(value: str) -> None:
    """Is refused at the start."""
    with pytest.raises(InputError, match=r"TUNESHIP_ROOT_PATH is .*; a path such as /support is accepted"):
        ServerSettings.from_environment({"TUNESHIP_ROOT_PATH": value})


@pytest.mark.parametrize(("value", "wanted"), [("", ""), ("/", ""), ("/support/", "/support"), ("/a/b-1", "/a/b-1")])
def test_setting(value: str, wanted: str) -> None:
    """A slash at the end makes no difference."""
    assert ServerSettings.from_environment({"TUNESHIP_ROOT_PATH": value}).root_path == wanted


def test_a_prefix_that_is_not_set(client: TestClient) -> None:
    """A path that is served but for what stands before it: the error tells the option."""
    told = client.post("/support/v1/predict", json={"inputs": "a"}).json()["error"]["message"]
    assert told.endswith("if /support/v1 is a load balancer's prefix, start the server with --root-path /support/v1")
    assert "--root-path" not in client.post("/support/nothing").text
    assert "--root-path" not in client.post("/a" * 5000).text


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real one at a prefix."""
    with serving(tiny_bundle, "--root-path", "/support", folder=tmp_path_factory.mktemp("prefix")) as process:
        yield process


def test_hugging_faces_client(server: ServerProcess) -> None:
    """Takes the prefix in its address."""
    assert InferenceClient(f"{server.url}/support").text_classification("where is my parcel?", top_k=1)


@pytest.mark.slow
@pytest.mark.parametrize("address", ["/support", "/support/", "/"])
def test_page(browser: Browser, server: ServerProcess, address: str) -> None:
    """It calls its own server below the address that it has, with a slash at the end or without."""
    from tests.serving.http.page.browser import visiting

    with visiting(browser, server.url) as visit:
        page = visit.page
        page.goto(f"{server.url}{address}#please%20cancel%20my%20parcel")
        page.wait_for_selector("#ready .dot.on")
        page.wait_for_selector("#answers .big")
        assert visit.text("#answers .big").startswith("cancel")
        prefix = f"{server.url}/support/" if address.startswith("/support") else f"{server.url}/"
        assert f"curl {prefix}predict" in visit.text("#curl")
        assert all(each.startswith((prefix, f"{server.url}{address}", "data:")) for each in visit.requests)
