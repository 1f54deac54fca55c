"""The HTTP API: answers, errors, limits, readiness and metrics."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from tokenizers import Encoding

from serving.batching.batch_shape import QueueLimits
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import ServesFor
from serving.entrypoints.verify import check_files
from serving.errors import BundleError
from serving.http.app import create_app
from serving.http.models.model import INLINE_CHARACTERS
from serving.http.server.admission import OVERLOADED
from serving.inference.predictor import Predictor
from serving.settings.limits import ServerLimits
from serving.tasks.base import Logits
from tests.bundles import forge, with_limits

TEXT = "where is my parcel?"


@pytest.fixture(scope="module")
def strict(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The app with limits that a test can reach: 4 texts, 20 characters, 200 bytes."""
    folder = tmp_path_factory.mktemp("strict")
    bundle = with_limits(tiny_bundle, folder / "bundle", max_inputs=4, max_characters=20, max_body_bytes=200)
    with TestClient(create_app(lambda: Predictor.open(bundle))) as client:
        yield client


class Slow(Predictor):
    """A predictor whose engine waits until it is let go."""

    go = threading.Event()
    asked = answered = 0

    def run_batch(self, windows: Sequence[Encoding], length: int = 0) -> list[Logits]:
        """The real logits, later."""
        self.asked += 1
        assert self.go.wait(60)
        logits = super().run_batch(windows, length)
        self.answered += 1
        return logits


class Broken(Predictor):
    """A predictor whose engine fails."""

    def run_batch(self, windows: Sequence[Encoding], length: int = 0) -> list[Logits]:
        """Fails, and tells what nobody outside should read."""
        raise RuntimeError("secret detail /etc/passwd")


def samples(client: TestClient) -> dict[str, float]:
    """The metrics, by name with labels."""
    lines = client.get("/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


@pytest.mark.parametrize("path", ["/predict", "/"])
@pytest.mark.parametrize("inputs", [TEXT, [TEXT], [TEXT, "refund it", "stop"]])
def test_predict(client: TestClient, predictor: Predictor, path: str, inputs: Any) -> None:
    """At either path one text or several get a list of answers in order, each with every label, best first."""
    response = client.post(path, json={"inputs": inputs})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answers = response.json()
    expected = [predictor.predict([text])[0] for text in ([inputs] if isinstance(inputs, str) else inputs)]
    assert [[each["label"] for each in answer] for answer in answers] == [
        [each["label"] for each in answer] for answer in expected
    ]
    for answer, wanted in zip(answers, expected, strict=True):
        assert [each["score"] for each in answer] == pytest.approx([each["score"] for each in wanted], abs=1e-5)


def test_same_digits(client: TestClient, predictor: Predictor) -> None:
    """A lone text gets the predictor's answer to the last digit."""
    assert client.post("/predict", json={"inputs": TEXT}).json() == predictor.predict([TEXT])


def test_parameters(client: TestClient, predictor: Predictor) -> None:
    """top_k and function_to_apply take effect."""
    parameters = {"top_k": 1, "function_to_apply": "none"}
    ((best,),) = client.post("/predict", json={"inputs": TEXT, "parameters": parameters}).json()
    assert set(best) == {"label", "score"}
    assert best["score"] == predictor.run(predictor.encode([TEXT])[0].windows)[0].max()


def test_long_text(client: TestClient, predictor: Predictor) -> None:
    """A text too long to be tokenized on the event loop gets the same answer."""
    text = "where is my parcel " * (INLINE_CHARACTERS // 10)
    assert client.post("/predict", json={"inputs": text}).json() == predictor.predict([text])


def test_left_truncation(client: TestClient, predictor: Predictor) -> None:
    """From the left a text keeps its end, which is answered as if it came alone."""
    long = "where is my parcel " * 100 + "stop"
    kept = predictor.tokenizer.encode(long).ids[-62:]  # the model reads 64, two of them special
    parameters = {"truncation_direction": "left"}
    answer = client.post("/predict", json={"inputs": long, "parameters": parameters})
    assert answer.headers["x-truncated"] == "0"
    (encoded,) = predictor.encode([long], predictor.task.parameters_type(**parameters))
    assert encoded.windows[0].ids[1:-1] == kept


@pytest.mark.parametrize(
    ("content", "status", "kind", "message"),
    [
        (b"{", 400, "malformed", "not valid JSON"),
        (b"", 400, "malformed", "not valid JSON"),
        (b'{"inputs": "\xff"}', 400, "malformed", "not UTF-8"),
        (b"[" * 10_000, 400, "malformed", "not valid JSON"),
        (b"[" * 100_000, 413, "too_large", "the body holds more than 18,432 JSON values"),
        (b"{}", 422, "validation", "the body has no `inputs`"),
        (b'{"inputs": ""}', 422, "validation", "inputs is empty"),
        (b'{"inputs": ["a", 1]}', 422, "validation", "inputs[1] must be a text, found a number"),
        (b'{"inputs": "\\ud800"}', 422, "validation", "lone surrogate"),
        (b'{"inputs": "a", "\\ud800": 1}', 422, "validation", "the key '\\ud800' of the body holds a lone"),
        (b'{"inputs": "a", "parameters": {"\\ud800": 1}}', 422, "validation", "the key '\\ud800' of parameters"),
        (b'{"inputs": "a", "parameters": {"top_k": 0}}', 422, "validation", "parameters.top_k"),
    ],
    ids=range(12),
)
def test_refused(client: TestClient, content: bytes, status: int, kind: str, message: str) -> None:
    """A body that cannot be parsed is a 400, an invalid one a 422, with a JSON error that says why."""
    response = client.post("/predict", content=content, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert response.json().keys() == {"error", "error_type"}
    assert response.json()["error_type"] == kind
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"inputs": ["a"] * 5}, "`inputs` holds 5 texts; a request may hold 4"),
        ({"inputs": "b" * 21}, "inputs has 21 characters; at most 20"),
        ({"inputs": "b" * 300}, "the body has more than 200 bytes"),
    ],
)
def test_too_large(strict: TestClient, body: Any, message: str) -> None:
    """Exceeding a limit is a 413 with the limit."""
    response = strict.post("/predict", json=body)
    assert response.status_code == 413
    assert response.json()["error_type"] == "too_large"
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    ("content_type", "named"),
    [
        ("text/plain", "text/plain"),
        ("multipart/form-data; boundary=x", "multipart/form-data"),
        ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded"),
        ("application/jsonp", "application/jsonp"),
        ("", "none"),
    ],
)
def test_content_type(client: TestClient, content_type: str, named: str) -> None:
    """Anything but JSON is a 415."""
    response = client.post("/predict", content=b'{"inputs": "a"}', headers={"content-type": content_type})
    assert response.status_code == 415
    assert response.json()["error"] == f"send Content-Type: application/json, not {named}"


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/explain", "/v2/models/run/infer"])
def test_content_encoding(client: TestClient, path: str) -> None:
    """A compressed body is a 415 that names the coding, and Accept-Encoding."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = client.post(path, content=gzip.compress(b'{"inputs": "a"}'), headers=headers)
    assert response.status_code == 415
    assert response.json()["error"] == "send the body as it is, not coded as 'gzip'"
    assert response.headers["accept-encoding"] == "identity"


def test_content_encoding_identity(client: TestClient) -> None:
    """Content-Encoding: identity is accepted."""
    response = client.post("/predict", json={"inputs": "a"}, headers={"content-encoding": "Identity"})
    assert response.status_code == 200


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json;"])
def test_content_type_accepted(client: TestClient, content_type: str) -> None:
    """JSON's content type may have any case and parameters."""
    response = client.post("/predict", content=b'{"inputs": "a"}', headers={"content-type": content_type})
    assert response.status_code == 200


def test_body_is_cut_off(tiny_bundle: Path, tmp_path: Path) -> None:
    """Reading stops as soon as a body exceeds the limit."""
    bundle = forge(tiny_bundle, tmp_path / "bundle", limits={"max_body_bytes": 1000})
    chunks, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal chunks
        chunks += 1
        return {"type": "http.request", "body": b"x" * 400, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        app = create_app(lambda: Predictor.open(bundle))
        async with app.router.lifespan_context(app), asyncio.timeout(60):
            await app(http_scope("POST", "/predict"), receive, send)

    asyncio.run(main())
    assert sent[0]["status"] == 413
    assert chunks == 3


def test_client_disconnects(tiny_bundle: Path) -> None:
    """A caller that disconnects while sending its body causes no error."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        app = create_app(lambda: Predictor.open(tiny_bundle))
        async with app.router.lifespan_context(app), asyncio.timeout(60):
            await app(http_scope("POST", "/predict"), receive, send)

    asyncio.run(main())
    assert sent[0]["status"] == 499


def http_scope(method: str, path: str) -> dict[str, Any]:
    """An ASGI scope as a server makes it."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json")],
    }


def serve(predictor: Predictor, scenario: Callable[[httpx.AsyncClient, Starlette], Any], **options: Any) -> None:
    """Run a scenario of concurrent requests against the app, its lifespan included."""

    async def main() -> None:
        app = create_app(lambda: predictor, **options)
        transport = httpx.ASGITransport(app)
        async with (
            asyncio.timeout(60),
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://tuneship") as http,
        ):
            await scenario(http, app)

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    while not condition():
        await asyncio.sleep(0.001)


def test_overload(tiny_bundle: Path) -> None:
    """With a full queue a request gets 429 and Retry-After before its body is read; accepted ones are answered."""
    slow = Slow(Bundle.open(tiny_bundle))

    async def scenario(http: httpx.AsyncClient, app: Starlette) -> None:
        slow.go.clear()
        first = asyncio.create_task(http.post("/predict", json={"inputs": TEXT}))
        await until(lambda: slow.asked == 1)
        others = [asyncio.create_task(http.post("/predict", json={"inputs": each})) for each in (TEXT, "stop")]
        await until(lambda: app.server_state.models.default.model.batcher.depth == 2)
        assert re.search(r"\ntuneship_queue_depth\{.*\} 2.0\n", (await http.get("/metrics")).text)
        refused = await http.post("/predict", json={"inputs": TEXT})
        assert refused.status_code == 429
        assert refused.json()["error_type"] == "overloaded"
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"].endswith(f"try again in {refused.headers['retry-after']} s")
        unread = await http.post("/predict", content=b"no JSON", headers={"content-type": "application/json"})
        assert unread.status_code == 429
        assert (await http.get("/livez")).status_code == 200
        slow.go.set()
        assert [(await each).status_code for each in (first, *others)] == [200, 200, 200]
        assert (await http.post("/predict", json={"inputs": TEXT})).status_code == 200

    serve(slow, scenario, server_limits=ServerLimits(QueueLimits(rows=2)))


@pytest.mark.slow
def test_would_be_late(tiny_bundle: Path) -> None:
    """A request that would miss its deadline gets 429 at once, not 504 at its deadline."""
    slow = Slow(Bundle.open(tiny_bundle))

    async def busy(http: httpx.AsyncClient) -> asyncio.Task[httpx.Response]:
        asked = slow.asked
        slow.go.clear()
        task = asyncio.create_task(http.post("/predict", json={"inputs": TEXT}))
        await until(lambda: slow.asked > asked)
        return task

    async def scenario(http: httpx.AsyncClient, app: Starlette) -> None:
        measured = await busy(http)
        await asyncio.sleep(0.6)
        slow.go.set()
        assert (await measured).status_code == 200
        first = await busy(http)
        others = [asyncio.create_task(http.post("/predict", json={"inputs": TEXT})) for _ in range(4)]
        await until(lambda: app.server_state.models.default.model.batcher.depth == len(others))
        hasty = await http.post("/predict", json={"inputs": TEXT}, headers={"Request-Timeout": "1.5"})
        assert (hasty.status_code, hasty.json()["error_type"]) == (429, "overloaded")
        assert "would miss its deadline in 1.5 s" in hasty.json()["error"]
        slow.go.set()
        assert [(await each).status_code for each in (first, *others)] == [200] * 5

    serve(slow, scenario)


def test_marked_as_overloaded(predictor: Predictor) -> None:
    """A request that the server marks as overloaded gets 429 and Retry-After, unread."""
    why = "9 requests wait to be started already"

    async def scenario(_: httpx.AsyncClient, app: Starlette) -> None:
        async def overloaded(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, OVERLOADED: why}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(overloaded), base_url="http://tuneship") as http:
            refused = await http.post("/predict", content=b"no JSON", headers={"content-type": "application/json"})
            assert refused.status_code == 429
            assert refused.json() == {"error": f"{why}; try again in 1 s", "error_type": "overloaded"}
            assert refused.headers["retry-after"] == "1"
            counted = (await http.get("/metrics")).text
            assert re.search(r'requests_total\{method="POST",model="\w+",route="/predict",status="429"\} 1.0', counted)

    serve(predictor, scenario)


def test_concurrent(predictor: Predictor, texts: list[str]) -> None:
    """Requests in one batch get the answers they get alone."""

    async def scenario(http: httpx.AsyncClient, _: Starlette) -> None:
        responses = await asyncio.gather(*(http.post("/", json={"inputs": text}) for text in texts))
        for text, response in zip(texts, responses, strict=True):
            ((best, *_rest),), (wanted, *_all) = response.json(), predictor.predict([text])[0]
            assert best["label"] == wanted["label"]
            assert best["score"] == pytest.approx(wanted["score"], abs=1e-5)

    serve(predictor, scenario)


def test_finishes_on_shutdown(tiny_bundle: Path) -> None:
    """Shutdown waits for accepted requests."""
    slow = Slow(Bundle.open(tiny_bundle))
    pending: list[asyncio.Task[httpx.Response]] = []

    async def scenario(http: httpx.AsyncClient, _: Starlette) -> None:
        slow.go.clear()
        pending.append(asyncio.create_task(http.post("/predict", json={"inputs": TEXT})))
        await until(lambda: slow.asked == 1)
        threading.Timer(0.05, slow.go.set).start()

    async def main() -> None:
        app = create_app(lambda: slow)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tuneship") as http:
            async with asyncio.timeout(60), app.router.lifespan_context(app):
                await scenario(http, app)
            assert slow.answered == 1
            assert (await pending[0]).status_code == 200

    asyncio.run(main())


def test_server_error(tiny_bundle: Path) -> None:
    """An engine failure is a 500 without details."""
    app = create_app(lambda: Broken(Bundle.open(tiny_bundle)))
    with TestClient(app, raise_server_exceptions=False) as client:
        response = client.post("/predict", json={"inputs": TEXT})
        assert response.status_code == 500
        assert response.json() == {
            "error": "the server failed on this request; its log tells why",
            "error_type": "backend",
        }
        (name,) = (name for name in samples(client) if 'status="500"' in name)
        assert name.startswith("tuneship_requests_total{")
        assert 'route="/predict"' in name


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nothing", 404, "there is nothing at /nothing; GET /openapi.json lists every path"),
        ("POST", "/predict/more", 404, "there is nothing at /predict/more; GET /openapi.json lists every path"),
        ("GET", "/predict", 405, "/predict takes POST, not GET"),
        ("PUT", "/predict", 405, "/predict takes POST, not PUT"),
        ("POST", "/info", 405, "/info takes GET or HEAD, not POST"),
        ("DELETE", "/", 405, "/ takes GET or HEAD or POST, not DELETE"),
    ],
)
def test_no_such_endpoint(client: TestClient, method: str, path: str, status: int, message: str) -> None:
    """An unknown path or method is a JSON error that says what exists."""
    response = client.request(method, path)
    assert response.status_code == status
    assert response.json() == {"error": message, "error_type": "http"}
    assert ("allow" in response.headers) == (status == 405)


def test_info(client: TestClient, tiny_bundle: Path) -> None:
    """/info gives model, labels, limits, the bundle's hash and the verdict of its proof."""
    manifest = Bundle.open(tiny_bundle).manifest
    info = client.get("/info").json()
    assert info["labels"] == manifest.labels
    assert info["task"] == "text-classification"
    assert info["variant"] == "fp32"
    assert info["bundle_sha256"] == manifest.digest
    assert (
        info["limits"].items()
        >= {
            "max_inputs": 128,
            "max_characters": 100_000,
            "max_body_bytes": 4_194_304,
            "max_length": manifest.tokenizer.max_length,
        }.items()
    )
    assert info["parity"]["passed"] is True
    assert info["parity"]["token_ids_equal"] is True
    assert info["parity"]["max_abs_logit_difference"] <= 1e-4
    assert {"id", "sha256"} <= info["model"].keys()
    assert info["proven_on"]["architecture"]
    assert info["serves_for"] is None


def test_a_student_says_whom_it_serves_for(tiny_bundle: Path, tmp_path: Path) -> None:
    """/info and verify have the run, and what the student loses to it."""
    run = {
        "run": "support", "lock_sha256": "0" * 64, "metric": "accuracy", "run_score": 0.94, "score": 0.935,
        "change": -0.005, "change_interval": [-0.01, 0.001], "level": 0.0125, "speed": 4.1,
        "speed_interval": [4.0, 4.2],
    }  # fmt: skip
    bundle = forge(tiny_bundle, tmp_path / "bundle", serves_for=ServesFor.model_validate(run))
    with TestClient(create_app(lambda: Predictor.open(bundle))) as client:
        assert client.get("/info").json()["serves_for"] == run
    told = [each.text for each in check_files(Bundle.open(bundle), None)]
    assert any("a student, serves for the run support: accuracy 0.94 → 0.935" in text for text in told)


def test_unavailable(tiny_bundle: Path) -> None:
    """Before loading and after closing, endpoints that need a model are 503 with Retry-After."""
    app = create_app(lambda: Predictor.open(tiny_bundle))
    early = TestClient(app)
    with TestClient(app):
        pass
    for client, reason in (
        (TestClient(create_app(lambda: Predictor.open(tiny_bundle))), "the model is being loaded; try again in 1 s"),
        (early, "the server is stopping; try again in 1 s"),
    ):
        for method, path in (("POST", "/predict"), ("GET", "/info"), ("GET", "/openapi.json")):
            response = client.request(method, path, json={"inputs": TEXT})
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
            assert response.json() == {"error": reason, "error_type": "unavailable"}
        assert client.get("/livez").status_code == client.get("/metrics").status_code == 200


def test_readyz(tiny_bundle: Path) -> None:
    """/readyz is 503 before the bundle is loaded, 200 while it answers, and 503 once the server stops."""
    app = create_app(lambda: Predictor.open(tiny_bundle))
    early = TestClient(app)
    assert early.get("/readyz").status_code == 503
    assert early.get("/livez").status_code == 200
    with TestClient(app) as client:
        response = client.get("/readyz")
        assert (response.status_code, response.text) == (200, "ready\n")
    assert early.get("/readyz").status_code == 503


def test_not_ready_without_its_engine(tiny_bundle: Path) -> None:
    """Where the engine's thread has ended, the server is not ready, and answers 503 in place of nothing."""
    app = create_app(lambda: Predictor.open(tiny_bundle))
    with TestClient(app) as client:
        assert client.post("/predict", json={"inputs": TEXT}).status_code == 200
        ended = threading.Thread()
        ended.start()
        ended.join()
        batcher = app.server_state.models.default.model.batcher
        batcher._threads, threads = [ended], batcher._threads
        assert client.get("/readyz").status_code == client.get("/health").status_code == 503
        assert client.get("/v2/health/ready").status_code == 503
        response = client.post("/predict", json={"inputs": TEXT})
        assert (response.status_code, response.json()["error"][:31]) == (503, "the engine's threads have ended")
        batcher._threads = threads


def test_bad_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    """An app with an untrusted bundle does not start."""
    bundle = forge(tiny_bundle, tmp_path / "bundle")
    (bundle / "README.md").unlink()
    with (
        pytest.raises(BundleError, match=r"README\.md is missing"),
        TestClient(create_app(lambda: Predictor.open(bundle))),
    ):
        pass


def test_page(client: TestClient) -> None:
    """GET / is a page that loads nothing from other hosts, by its content security policy too."""
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert not re.search(r"https?://", response.text)
    assert "textarea" in response.text


def test_instances_do_not_share(tiny_bundle: Path) -> None:
    """Two apps in one process have separate metrics."""
    with TestClient(create_app(lambda: Predictor.open(tiny_bundle))) as one:
        one.post("/predict", json={"inputs": TEXT})
        with TestClient(create_app(lambda: Predictor.open(tiny_bundle))) as two:
            assert not any("requests_total" in name for name in samples(two))


def test_unicode(client: TestClient) -> None:
    """Any Unicode text is answered, escaped or not."""
    text = "我的卡 👍🏽 \u202e العربية \x00"
    raw = json.dumps({"inputs": text}, ensure_ascii=False).encode()
    response = client.post("/predict", content=raw, headers={"content-type": "application/json"})
    assert response.status_code == 200
    assert response.json() == client.post("/predict", json={"inputs": text}).json()
