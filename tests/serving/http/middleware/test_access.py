"""Access: API keys, host names, cross-origin pages; and the security headers of every answer."""

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

from deploy.measurement.process import free_port
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.settings.access import AccessPolicy
from tests.serving.processes import ServerProcess, python, running, until

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
def test_valid_keys(locked: TestClient, headers: dict[str, str]) -> None:
    """Either key is accepted in either header."""
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
def test_no_valid_key(locked: TestClient, method: str, path: str, headers: dict[str, str], challenge: str) -> None:
    """Without a valid key all but probes and the page are a 401 that says how to send a key, and quotes none."""
    response = locked.request(method, path, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == challenge
    assert response.json()["error_type"] == "unauthorized"
    assert KEY[:-1] not in response.text


@pytest.mark.parametrize("name", ["X-API-Key", "Authorization"])
def test_contradictory_keys(locked: TestClient, name: str) -> None:
    """Two different keys are no key, whichever comes first."""
    both = [(name, f"Bearer {key}" if name == "Authorization" else key) for key in (KEY, KEY[:-1])]
    for headers in (both, both[::-1]):
        assert locked.post("/predict", json=BODY, headers=headers).status_code == 401


@pytest.mark.parametrize("path", ["/v1/embeddings", "/models/tiny/v1/completions", "/v1/models"])
def test_no_valid_key_in_openai_shape(locked: TestClient, path: str) -> None:
    """At OpenAI's paths the 401 has OpenAI's shape."""
    assert "API key" in locked.post(path).json()["error"]["message"]


def test_health_and_page_are_open(locked: TestClient) -> None:
    """Probes and the page need no key; metrics do."""
    assert [locked.get(path).status_code for path in ("/livez", "/readyz", "/")] == [200, 200, 200]
    assert locked.get("/metrics").status_code == 401
    assert locked.get("/metrics", headers={"X-API-Key": KEY}).status_code == 200


@pytest.mark.parametrize("path", ["//predict", "/predict/", "/livez/../predict", "/%2e/predict", "/readyz/", "/LIVEZ"])
def test_other_spellings_of_a_path(locked: TestClient, path: str) -> None:
    """No other spelling of a path avoids the check."""
    assert locked.post(path, json=BODY, follow_redirects=False).status_code == 401


def test_open_metrics(tiny_bundle: Path) -> None:
    """With ``open_metrics``, metrics need no key, and everything else still does."""
    with app_with(tiny_bundle, api_keys=(KEY,), open_metrics=True) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/info").status_code == 401


def test_refused_unread(tiny_bundle: Path) -> None:
    """The key is checked before any of the body is read."""
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
    """Hugging Face's client sends the key as its token, and gets 401 without it."""
    (best,) = InferenceClient(locked_server.url, token=KEY).text_classification(BODY["inputs"], top_k=1)
    assert best.label == predictor.predict([BODY["inputs"]])[0][0]["label"]
    with pytest.raises(HfHubHTTPError) as caught:
        InferenceClient(locked_server.url, token="hf_wrong").text_classification(BODY["inputs"])
    assert caught.value.response.status_code == 401


def test_no_key_in_the_log(locked_server: ServerProcess) -> None:
    """The log holds no key and no text, and every line is JSON."""
    for key in (KEY, SECOND, "hf_wrong"):
        httpx.post(f"{locked_server.url}/predict", json=BODY, headers={"X-API-Key": key})
    until(lambda: re.search(r'"status": ?401', locked_server.log.read_text()) is not None)
    lines = locked_server.log.read_text().splitlines()
    assert not re.search(f"{KEY}|{SECOND}|hf_wrong|parcel", "\n".join(lines))
    contents = [json.loads(line) for line in lines]
    assert {content["status"] for content in contents if "status" in content} >= {200, 401}


def test_hosts(tiny_bundle: Path) -> None:
    """Only the allowed host names are answered; probes come by IP address."""
    with app_with(tiny_bundle, allowed_hosts=("api.example.org", "[::1]")) as client:
        for host, status in [
            ("api.example.org", 200), ("API.example.org:8443", 200), ("[::1]:3000", 200),
            ("evil.example.org", 421), ("api.example.org.evil.org", 421), ("", 421),
        ]:  # fmt: skip
            assert client.get("/info", headers={"Host": host}).status_code == status, host
        assert client.get("/readyz", headers={"Host": "10.0.0.7:3000"}).status_code == 200


def test_cors_is_off(client: TestClient) -> None:
    """By default no page of another origin may read an answer."""
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    for response in (client.options("/predict", headers=headers), client.post("/predict", json=BODY, headers=headers)):
        assert not any(name.startswith("access-control") for name in response.headers)


def test_cors(tiny_bundle: Path) -> None:
    """A named origin may call with a key, and its preflight request needs none; another origin may not."""
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
    """A named origin's page may send every request header that the server reads."""
    with app_with(tiny_bundle, cors_origins=("https://example.org",)) as client:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": header.lower()}
        answer = client.options("/predict", headers={"Origin": "https://example.org", **asked})
        assert answer.status_code == 200, answer.text


def test_cors_exposes_truncation(tiny_bundle: Path) -> None:
    """A named origin's page can read X-Truncated."""
    with app_with(tiny_bundle, cors_origins=("https://example.org",)) as client:
        answer = client.post("/predict", json={"inputs": "it " * 5000}, headers={"Origin": "https://example.org"})
        assert answer.headers["X-Truncated"] == "0"
        assert "X-Truncated" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/predict/", "/info/", "/models/run/predict/"])
def test_no_redirects(client: TestClient, path: str) -> None:
    """No answer redirects to an address made of the caller's Host."""
    for method in ("GET", "POST"):
        answer = client.request(method, path, headers={"Host": "evil.example.org"}, follow_redirects=False)
        assert answer.status_code == 404
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/predict"), ("GET", "/info"), ("GET", "/"), ("GET", "/nothing"), ("GET", "/readyz")]
)
def test_security_headers(server: ServerProcess, method: str, path: str) -> None:
    """Every answer, errors too, has the security headers and names no server software."""
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


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/predict", "/", "/embed", "/v1/embeddings", "/v1/completions", "/explain"]), body=VALUES)
def test_any_json(client: TestClient, path: str, body: Any) -> None:
    """Any JSON value gets an answer or a 4xx that says why, never a 500."""
    response = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code in {200, 400, 413, 422}
    if response.status_code != 200:
        told = response.json()
        assert told["error"]["message"] if path.startswith("/v1/") else told.keys() == {"error", "error_type"}


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | st.text(max_size=60).map(lambda text: f'{{"inputs": "{text}"}}'.encode()))
def test_any_bytes(client: TestClient, body: bytes) -> None:
    """So do any bytes."""
    response = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code in {200, 400, 413, 422}


def test_a_bad_file_of_keys_is_measured(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape looks at the file of keys itself, whether or not anybody shows a key."""
    monkeypatch.setattr("serving.settings.api_keys.SECONDS_BETWEEN_CHECKS", 0)
    (tmp_path / "keys").write_text(KEY)
    with app_with(tiny_bundle, api_keys_file=tmp_path / "keys", open_metrics=True) as client:
        assert "tuneship_api_keys_file_bad 0.0" in client.get("/metrics").text
        (tmp_path / "keys").unlink()
        assert "tuneship_api_keys_file_bad 1.0" in client.get("/metrics").text
