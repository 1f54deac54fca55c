"""Several models in one server, and swapping in a new version of one."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from serving.bundle.bundle import Bundle
from serving.errors import BundleError, InputError
from serving.http.app import create_app
from serving.http.models.sources import BundleFolder, find_bundles
from serving.inference.predictor import Predictor
from tests.bundles import manifest_of
from tests.serving.http.models.versions import TEXTS, relabelled, serve, turn
from tests.serving.http.test_app import samples, until


def corrupt(bundle: Path) -> Path:
    """Flip one byte of the graph."""
    graph = bundle / "model.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    return bundle


@pytest.fixture(scope="module")
def several(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An app over two models: the tiny one, and the same with other labels."""
    other = relabelled(tiny_bundle, tmp_path_factory.mktemp("several") / "bundle")
    bundles = find_bundles([f"first={tiny_bundle}", f"the second={other}"])
    with TestClient(create_app(*bundles)) as client:
        yield client


def labels(answers: Any) -> set[str]:
    """The labels of answers."""
    return {each["label"] for answer in answers for each in answer}


@pytest.mark.parametrize("path", ["", "/predict"])
def test_each_by_its_name(several: TestClient, tiny_bundle: Path, path: str) -> None:
    """Each model answers under its name; without a name, the first does."""
    expected = Predictor.open(tiny_bundle).predict(TEXTS)
    body = {"inputs": TEXTS}
    assert several.post(path or "/", json=body).json() == expected
    assert several.post(f"/models/first{path}", json=body).json() == expected
    second = several.post(f"/models/the%20second{path}", json=body).json()
    assert second == [[{**each, "label": f"{each['label']} 2"} for each in answer] for answer in expected]


def test_list(several: TestClient, tiny_bundle: Path) -> None:
    """GET /models lists the models and their versions, the default first."""
    first, second = several.get("/models").json()["models"]
    assert (first["name"], second["name"]) == ("first", "the second")
    assert first["bundle_sha256"] == Bundle.open(tiny_bundle).digest
    assert first["bundle_sha256"].startswith(first["version"])
    assert first["version"] != second["version"]
    assert first["last_reload"] is None


def test_each_describes_itself(several: TestClient) -> None:
    """/info, /card, /explain and the OpenAPI document below a model's path are that model's."""
    info = several.get("/models/the second/info").json()
    assert info["served_as"] == "the second"
    assert all(label.endswith(" 2") for label in info["labels"])
    assert several.get("/models/the second/card").status_code == 200
    document = several.get("/models/the second/openapi.json").json()
    assert "/models/the%20second/predict" in document["paths"]
    assert info["labels"][0] in json.dumps(document["components"])
    explained = several.post("/models/the second/explain", json={"inputs": TEXTS[0]}).json()
    assert explained["target"]["label"].endswith(" 2")


@pytest.mark.parametrize(("method", "path"), [("POST", "/predict"), ("GET", "/info"), ("POST", "/explain")])
def test_no_such_model(several: TestClient, method: str, path: str) -> None:
    """An unknown name is a 404 that lists the served names."""
    response = several.request(method, f"/models/third{path}", json={"inputs": "a"})
    assert response.status_code == 404
    assert response.json()["error"] == "no model is named 'third'; served are: first, the second"


def test_metrics_by_name(several: TestClient) -> None:
    """Series are labelled with served names only."""
    before = samples(several).get('tuneship_inputs_total{model="the second"}', 0)
    several.post("/models/the second/predict", json={"inputs": TEXTS})
    several.post("/models/third/predict", json={"inputs": TEXTS})
    after = samples(several)
    assert after['tuneship_inputs_total{model="the second"}'] == before + 2
    assert not any('model="third"' in name for name in after)


def test_folder_of_bundles(tiny_bundle: Path, tmp_path: Path) -> None:
    """A folder of bundles serves each under its folder's name, hidden folders excepted."""
    for name in ("b", "a", ".c"):
        (tmp_path / name).symlink_to(tiny_bundle)
    assert [(folder.name, folder.root) for folder in find_bundles([str(tmp_path)])] == [
        ("a", tmp_path / "a"),
        ("b", tmp_path / "b"),
    ]


def test_names(tiny_bundle: Path, tmp_path: Path) -> None:
    """The default name is the bundle's; a name twice, or one that no path can hold, is refused."""
    (folder,) = find_bundles([str(tiny_bundle)])
    assert folder.name == manifest_of(tiny_bundle).name
    with pytest.raises(InputError, match=r"are both named 'run'\. Name one of them: NAME=PATH"):
        find_bundles([str(tiny_bundle), str(tiny_bundle)])
    for spec in (f"=/{tiny_bundle}", f"a/b={tiny_bundle}"):
        with pytest.raises(InputError, match="give NAME=PATH"):
            find_bundles([spec])
    for name in ("..", ".", " ", "a\nb", " a", "a\x00"):
        with pytest.raises(InputError, match="Give it a name of letters and digits"):
            find_bundles([f"{name}={tiny_bundle}"])
    assert find_bundles([f"Größe 1.5={tiny_bundle}"])[0].name == "Größe 1.5"
    with pytest.raises(BundleError, match="is not a bundle"):
        find_bundles([str(tmp_path)])


def test_new_version_under_traffic(versions: Path) -> None:
    """During a swap each request is answered by one version entirely; after it by the new one."""
    app = create_app(BundleFolder(versions / "current"))
    seen: list[set[bool]] = []

    async def scenario(http: httpx.AsyncClient) -> None:
        stop = asyncio.Event()

        async def ask() -> None:
            while not stop.is_set():
                response = await http.post("/predict", json={"inputs": TEXTS})
                assert response.status_code == 200, response.text
                seen.append({label[-2:] == " 2" for label in labels(response.json())})

        askers = [asyncio.create_task(ask()) for _ in range(4)]
        await until(lambda: len(seen) > 10)
        turn(versions / "current", "v2")
        app.server_state.reload_soon()
        await until(lambda: {True} in seen)
        at = len(seen)
        await until(lambda: len(seen) > at + 20)
        stop.set()
        await asyncio.gather(*askers)
        assert seen[-1] == {True}
        assert (await http.get("/info")).json()["last_reload"]["outcome"] == "swapped"

    serve(app, scenario)
    assert seen[0] == {False}
    assert all(len(each) == 1 for each in seen)


def test_a_request_stays_on_its_version(versions: Path) -> None:
    """A request that started on the old version is answered by it after the swap."""
    app = create_app(BundleFolder(versions / "current"))

    async def scenario(http: httpx.AsyncClient) -> None:
        old = app.server_state.models.default.model
        with old:
            turn(versions / "current", "v2")
            app.server_state.reload_soon()
            await until(lambda: app.server_state.models.default.model is not old)
            assert labels((await http.post("/predict", json={"inputs": TEXTS})).json()) == {
                f"{label} 2" for label in old.predictor.manifest.labels
            }
            assert await old.batcher.submit(old.predictor.encode(TEXTS[:1])[0].windows)

    serve(app, scenario)


def test_corrupted_version(versions: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An untrusted version is refused: the old one keeps serving; log, /info and a metric say so."""
    app = create_app(BundleFolder(versions / "current", "support"))
    corrupt(versions / "v2")

    async def scenario(http: httpx.AsyncClient) -> None:
        before = (await http.get("/info")).json()["bundle_sha256"]
        turn(versions / "current", "v2")
        with caplog.at_level(logging.WARNING, "tuneship"):
            await app.server_state.models.reload()
        info = (await http.get("/info")).json()
        assert info["bundle_sha256"] == before
        assert info["last_reload"]["outcome"] == "refused"
        assert "model.onnx was altered" in info["last_reload"]["reason"]
        assert 'tuneship_reloads_total{model="support",outcome="refused"} 1.0' in (await http.get("/metrics")).text
        assert (await http.post("/predict", json={"inputs": TEXTS})).status_code == 200
        turn(versions / "current", "v1")
        await app.server_state.models.reload()
        assert (await http.get("/info")).json()["last_reload"]["outcome"] == "unchanged"

    serve(app, scenario)
    assert "new version of support refused" in caplog.text
    assert "model.onnx was altered" in caplog.text


def test_no_thread_for_a_new_version(versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version whose engine cannot start is refused, and the old one is not drained."""
    app = create_app(BundleFolder(versions / "current"))
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if thread.name.startswith("engine"):
            raise RuntimeError("can't start new thread")
        start(thread)

    async def scenario(http: httpx.AsyncClient) -> None:
        turn(versions / "current", "v2")
        monkeypatch.setattr(threading.Thread, "start", limited)
        await app.server_state.models.reload()
        last = (await http.get("/info")).json()["last_reload"]
        assert last["outcome"] == "refused"
        assert "the engine's threads cannot be started (can't start new thread)" in last["reason"]
        assert (await http.post("/predict", json={"inputs": TEXTS})).status_code == 200
        assert (await http.get("/readyz")).status_code == 200

    serve(app, scenario)


def test_another_task(versions: Path, task_bundle: Any) -> None:
    """A bundle of another task is refused."""
    app = create_app(BundleFolder(versions / "current"))

    async def scenario(http: httpx.AsyncClient) -> None:
        turn(versions / "current", str(task_bundle("regression")))
        await app.server_state.models.reload()
        last = (await http.get("/info")).json()["last_reload"]
        assert last["outcome"] == "refused"
        assert "its task is regression, that of run is text-classification" in last["reason"]

    serve(app, scenario)


def test_watched(versions: Path) -> None:
    """With ``watch`` a new version is found once its files stop changing; metrics then name it alone."""
    app = create_app(BundleFolder(versions / "current"), watch=0.02)

    async def scenario(http: httpx.AsyncClient) -> None:
        old = app.server_state.models.default.model
        turn(versions / "current", "v2")
        await until(lambda: app.server_state.models.default.model is not old)
        metrics = (await http.get("/metrics")).text
        assert old.predictor.bundle.digest not in metrics
        assert app.server_state.models.default.model.predictor.bundle.digest in metrics

    serve(app, scenario)


def test_deployed_while_starting(versions: Path) -> None:
    """A version deployed during start-up is found by the next look."""
    folder = BundleFolder(versions / "current", "support")
    folder.preload()
    turn(versions / "current", "v2")

    async def scenario(http: httpx.AsyncClient) -> None:
        assert not any(label.endswith(" 2") for label in (await http.get("/info")).json()["labels"])
        await app.server_state.models.reload()
        assert all(label.endswith(" 2") for label in (await http.get("/info")).json()["labels"])

    app = create_app(folder)
    serve(app, scenario)


def test_the_old_version_is_freed(versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After it has drained, nothing refers to the old version, and its memory is returned."""
    import gc
    import weakref

    app, held = create_app(BundleFolder(versions / "current")), list[bool]()
    monkeypatch.setattr("serving.http.models.registry.trim_memory", lambda: held.append(old() is not None))

    async def scenario(http: httpx.AsyncClient) -> None:
        assert (await http.post("/predict", json={"inputs": TEXTS})).status_code == 200
        nonlocal old
        old = weakref.ref(app.server_state.models.default.model.predictor)
        turn(versions / "current", "v2")
        await app.server_state.models.reload()
        while not held:
            await asyncio.sleep(0.01)
        gc.collect()
        assert old() is None
        assert held == [False]

    old: Any = None
    serve(app, scenario)


def test_operators_limits(tiny_bundle: Path) -> None:
    """An operator's limits replace a bundle's, lower or higher; /info and the OpenAPI document show the result."""
    bundles = find_bundles([str(tiny_bundle)], limits={"max_inputs": 2, "max_characters": 10**6})
    with TestClient(create_app(*bundles)) as client:
        limits = client.get("/info").json()["limits"]
        assert (limits["max_inputs"], limits["max_characters"]) == (2, 10**6)
        assert client.post("/predict", json={"inputs": "a " * 10**5}).status_code == 200
        response = client.post("/predict", json={"inputs": ["a", "b", "c"]})
        assert response.status_code == 413
        assert response.json()["error"] == "`inputs` holds 3 texts; a request may hold 2"
        request = client.get("/openapi.json").json()["components"]["schemas"]["Request"]
        assert request["properties"]["inputs"]["oneOf"][1]["maxItems"] == 2
