"""Who is let in: keys, host names, origins; and what every answer tells a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from bench.process import free_port
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.settings.access import AccessPolicy
from tests.serving.processes import ServerProcess, python, running

KEY, SECOND = "first-key-0123456789", "second-key-012345678"
BODY = {"inputs": "where is my parcel?"}


def app_with(bundle: Path, **access_policy: Any) -> TestClient:
    """A client of the app, protected."""
    return TestClient(create_app(lambda: Predictor.open(bundle), access_policy=AccessPolicy(**access_policy)))


@pytest.fixture(scope="module")
def locked(tiny_bundle: Path) -> Iterator[TestClient]:
    """An app that asks for one of two keys."""
    with app_with(tiny_bundle, api_keys=(KEY, SECOND)) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {SECOND}"},
        {"X-API-Key": KEY},
        {"X-API-Key": SECOND, "Authorization": "Basic eDp5"},
    ],
)
def test_let_in(locked: TestClient, headers: dict[str, str]) -> None:
    """Either key, in either header."""
    assert locked.post("/predict", json=BODY, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="tuneship"'),
        ({"X-API-Key": ""}, 'Bearer realm="tuneship", error="invalid_token"'),
        ({"X-API-Key": KEY[:-1]}, 'Bearer realm="tuneship", error="invalid_token"'),
        ({"Authorization": f"Basic {KEY}"}, 'Bearer realm="tuneship", error="invalid_token"'),
        ({"Authorization": f"Bearer {KEY}x"}, 'Bearer realm="tuneship", error="invalid_token"'),
        ({"Authorization": "Bearer"}, 'Bearer realm="tuneship", error="invalid_token"'),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/predict"), ("POST", "/"), ("GET", "/info"), ("GET", "/x")])
def test_kept_out(locked: TestClient, method: str, path: str, headers: dict[str, str], challenge: str) -> None:
    """Without a key everything but health and the page is a 401 in JSON that says how to show one, and quotes none."""
    response = locked.request(method, path, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == challenge
    assert response.json()["error_type"] == "unauthorized"
    assert KEY[:-1] not in response.text


@pytest.mark.parametrize("path", ["/v1/embeddings", "/models/tiny/v1/completions", "/v1/models"])
def test_kept_out_in_openai_shape(locked: TestClient, path: str) -> None:
    """Where OpenAI's clients ask, the refusal is in the shape whose message they show."""
    assert "API key" in locked.post(path).json()["error"]["message"]


def test_health_and_page_are_open(locked: TestClient) -> None:
    """Orchestrators ask without a key, and the page is where a user types one; metrics ask for it."""
    assert [locked.get(path).status_code for path in ("/livez", "/readyz", "/")] == [200, 200, 200]
    assert locked.get("/metrics").status_code == 401
    assert locked.get("/metrics", headers={"X-API-Key": KEY}).status_code == 200


@pytest.mark.parametrize("path", ["//predict", "/predict/", "/livez/../predict", "/%2e/predict", "/readyz/", "/LIVEZ"])
def test_no_way_around(locked: TestClient, path: str) -> None:
    """No other spelling of a path passes."""
    assert locked.post(path, json=BODY, follow_redirects=False).status_code == 401


def test_open_metrics(tiny_bundle: Path) -> None:
    """Metrics are open where that is asked for, and nothing else with them."""
    with app_with(tiny_bundle, api_keys=(KEY,), open_metrics=True) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/info").status_code == 401


def test_refused_unread(tiny_bundle: Path) -> None:
    """Nothing of a body is read before the key is shown."""
    app, read = create_app(lambda: Predictor.open(tiny_bundle), access_policy=AccessPolicy(api_keys=(KEY,))), []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def counted() -> Any:
            read.append(await receive())
            return read[-1]

        await app(scope, counted, send)

    assert TestClient(watched).post("/predict", json=BODY).status_code == 401
    assert read == []


@pytest.fixture(scope="module")
def locked_server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server that asks for a key of a file, and logs in JSON."""
    folder, port = tmp_path_factory.mktemp("locked"), free_port()
    (folder / "keys").write_text(f"# rotation\n{KEY}\n{SECOND}\n")
    command = python("-m", "tuneship", "serve", tiny_bundle, "--port", port, "--api-keys-file", folder / "keys")
    with running(command, port, folder / "log", TUNESHIP_LOG_FORMAT="json") as process:
        yield process


def test_huggingface_client(locked_server: ServerProcess, predictor: Predictor) -> None:
    """Hugging Face's client shows the key as its token; without it, it gets the 401."""
    (best,) = InferenceClient(locked_server.url, token=KEY).text_classification(BODY["inputs"], top_k=1)
    assert best.label == predictor.predict([BODY["inputs"]])[0][0]["label"]
    with pytest.raises(HfHubHTTPError) as caught:
        InferenceClient(locked_server.url, token="hf_wrong").text_classification(BODY["inputs"])
    assert caught.value.response.status_code == 401


def test_no_key_in_the_log(locked_server: ServerProcess) -> None:
    """The log of requests with and without keys holds none of them, nor the texts, and every line is JSON."""
    lines = locked_server.log.read_text().splitlines()
    assert not re.search(f"{KEY}|{SECOND}|hf_wrong|parcel", "\n".join(lines))
    contents = [json.loads(line) for line in lines]
    assert {content["status"] for content in contents if "status" in content} >= {200, 401}


def test_hosts(tiny_bundle: Path) -> None:
    """Only requests under our own names are answered; probes come by address."""
    with app_with(tiny_bundle, allowed_hosts=("api.example.org", "[::1]")) as client:
        for host, status in [
            ("api.example.org", 200), ("API.example.org:8443", 200), ("[::1]:3000", 200),
            ("evil.example.org", 421), ("api.example.org.evil.org", 421), ("", 421),
        ]:  # fmt: skip
            assert client.get("/info", headers={"Host": host}).status_code == status, host
        assert client.get("/readyz", headers={"Host": "10.0.0.7:3000"}).status_code == 200


def test_cors_is_off(client: TestClient) -> None:
    """No page of another origin may read an answer unless it was named."""
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    for response in (client.options("/predict", headers=headers), client.post("/predict", json=BODY, headers=headers)):
        assert not any(name.startswith("access-control") for name in response.headers)


def test_cors(tiny_bundle: Path) -> None:
    """A named origin may call, with a key, which the browser's question before it does not need; another may not."""
    with app_with(tiny_bundle, api_keys=(KEY,), cors_origins=("https://example.org",)) as client:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key,content-type"}
        answer = client.options("/predict", headers={"Origin": "https://example.org", **asked})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://example.org"
        assert client.options("/predict", headers={"Origin": "https://evil.org", **asked}).status_code == 400
        key = {"X-API-Key": KEY}
        ours = client.post("/predict", json=BODY, headers={"Origin": "https://example.org", **key})
        assert ours.headers["access-control-allow-origin"] == "https://example.org"
        assert "X-Request-ID" in ours.headers["access-control-expose-headers"]
        theirs = client.post("/predict", json=BODY, headers={"Origin": "https://evil.org", **key})
        assert "access-control-allow-origin" not in theirs.headers
        refused = client.post("/predict", json=BODY, headers={"Origin": "https://example.org"})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://example.org"


@pytest.mark.parametrize(
    "header", ["Request-Timeout", "X-Request-ID", "traceparent", "Inference-Header-Content-Length"]
)
def test_cors_headers(tiny_bundle: Path, header: str) -> None:
    """What any caller may say, a named origin's page may say."""
    with app_with(tiny_bundle, cors_origins=("https://example.org",)) as client:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": header.lower()}
        answer = client.options("/predict", headers={"Origin": "https://example.org", **asked})
        assert answer.status_code == 200, answer.text


def test_cut_texts_are_told_to_pages(tiny_bundle: Path) -> None:
    """A page of a named origin can read which of its texts were cut."""
    with app_with(tiny_bundle, cors_origins=("https://example.org",)) as client:
        answer = client.post("/predict", json={"inputs": "it " * 5000}, headers={"Origin": "https://example.org"})
        assert answer.headers["X-Truncated"] == "0"
        assert "X-Truncated" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/predict/", "/info/", "/models/run/predict/"])
def test_leads_nowhere_else(client: TestClient, path: str) -> None:
    """No answer sends a caller, with key and text, to an address made of what the caller said."""
    for method in ("GET", "POST"):
        answer = client.request(method, path, headers={"Host": "evil.example.org"}, follow_redirects=False)
        assert answer.status_code == 404
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/predict"), ("GET", "/info"), ("GET", "/"), ("GET", "/nothing"), ("GET", "/readyz")]
)
def test_security_headers(server: ServerProcess, method: str, path: str) -> None:
    """Every answer, good or not, forbids guessing, framing, leaking and keeping, and names no server software."""
    response = httpx.request(method, server.url + path, json=BODY)
    headers = response.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    assert len(headers.get_list("content-security-policy")) == 1


KEYS = st.sampled_from(["inputs", "parameters", "text", "text_pair", "top_k", "function_to_apply"]) | st.text(
    max_size=8
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/predict", "/", "/embed", "/v1/embeddings", "/v1/completions", "/explain"]), body=VALUES)
def test_any_json(client: TestClient, path: str, body: Any) -> None:
    """Whatever JSON comes, the answer is an answer or a refusal that says why, never a failure of the server."""
    response = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code in {200, 400, 413, 422}
    if response.status_code != 200:
        told = response.json()
        assert told["error"]["message"] if path.startswith("/v1/") else told.keys() == {"error", "error_type"}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | st.text(max_size=60).map(lambda text: f'{{"inputs": "{text}"}}'.encode()))
def test_any_bytes(client: TestClient, body: bytes) -> None:
    """Whatever bytes come, too."""
    response = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code in {200, 400, 413, 422}
