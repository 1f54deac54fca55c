"""Metrics: what is counted, in base units, with labels that no caller can choose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.http.models.model import Model
from serving.inference.predictor import Predictor
from serving.observability.metrics import Metrics, Reason
from serving.observability.model_metrics import ModelMetrics
from serving.protocols.base import Request
from serving.settings.access import AccessPolicy
from serving.settings.limits import ServerLimits
from tests.bundles import manifest_of
from tests.paths import ROOT
from tests.serving.examples import EXAMPLES

TEXT = "where is my parcel?"
UNITS = ("_seconds", "_bytes", "_tokens", "_windows", "_total", "_info", "_psi", "_psi_chance", "_depth", "_inputs")
UNITLESS = {"tuneship_score", "tuneship_fallback", "tuneship_api_keys_file_bad"}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def fresh(tiny_bundle: Path) -> Iterator[TestClient]:
    """An app that has counted nothing yet."""
    with TestClient(create_app(lambda: Predictor.open(tiny_bundle))) as client:
        yield client


def samples(client: TestClient) -> Samples:
    """Every sample, by name and labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def total(found: Samples, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(value for (each, has), value in found.items() if each == name and set(labels.items()) <= has)


def test_requests(fresh: TestClient) -> None:
    """Requests are counted and timed by route and status, errors too."""
    fresh.post("/predict", json={"inputs": ["stop it", "refund it"]})
    fresh.post("/predict", json={"inputs": ""})
    fresh.post("/predict", content=b"x", headers={"content-type": "text/plain"})
    fresh.get("/predict")
    fresh.get("/info")
    found = samples(fresh)
    for status in ("200", "422", "415"):
        assert total(found, "tuneship_requests_total", route="/predict", method="POST", status=status) == 1
    assert total(found, "tuneship_requests_total", route="/info", status="200") == 1
    assert total(found, "tuneship_requests_total", status="405") == 1
    assert total(found, "tuneship_request_duration_seconds_count", route="/predict") == 3
    assert 0 < total(found, "tuneship_request_duration_seconds_sum", route="/predict") < 60


@pytest.mark.parametrize(
    ("name", "label", "values"),
    [
        ("tuneship_reloads_total", "outcome", {"swapped", "unchanged", "refused"}),
        ("tuneship_connections_refused_total", "reason", set(get_args(Reason))),
    ],
)
def test_counts_of_events_begin_at_zero(fresh: TestClient, name: str, label: str, values: set[str]) -> None:
    """Series of rare events exist at 0 from the start: Prometheus sees no increase in a series that starts at 1."""
    found = {dict(labels)[label]: count for (each, labels), count in samples(fresh).items() if each == name}
    assert found == dict.fromkeys(values, 0)


def test_stages(fresh: TestClient, predictor: Predictor) -> None:
    """Tokens, tokenizing, queue, batches, inference, scores and labels of each input are measured."""
    texts = [TEXT, "stop"]
    fresh.post("/predict", json={"inputs": texts})
    found, model = samples(fresh), predictor.manifest.name
    tokens = sum(each.tokens for each in predictor.encode(texts))
    counts = {"input_tokens": 2, "tokenize_seconds": 1, "queue_wait_seconds": 2, "score": 2}
    for name, count in counts.items():
        assert total(found, f"tuneship_{name}_count", model=model) == count, name
    assert total(found, "tuneship_input_tokens_sum") == total(found, "tuneship_batch_tokens_sum") == tokens
    assert total(found, "tuneship_batch_windows_sum") == 2
    assert total(found, "tuneship_infer_seconds_sum") > 0
    assert total(found, "tuneship_inputs_total") == total(found, "tuneship_outcomes_total") == 2
    best = [answer[0]["score"] for answer in predictor.predict(texts)]
    assert total(found, "tuneship_score_sum") == pytest.approx(sum(best), abs=1e-5)
    assert total(found, "tuneship_queue_depth") == 0


def test_bundle_and_process(fresh: TestClient, tiny_bundle: Path) -> None:
    """The served bundle and variant, and the process' memory and CPU time."""
    manifest, found = manifest_of(tiny_bundle), samples(fresh)
    ((_, labels),) = (each for each in found if each[0] == "tuneship_bundle_info")
    expected = {"digest": manifest.digest, "variant": "fp32", "task": "text-classification", "name": manifest.name}
    assert dict(labels) == {"model": manifest.name, **expected}
    assert total(found, "process_resident_memory_bytes") > 2**20
    assert total(found, "process_cpu_seconds_total") > 0


def counted(client: TestClient, path: str, body: dict[str, Any]) -> dict[str, float]:
    """How much each count of answers grows by a request."""
    before = samples(client)
    assert client.post(path, json=body).status_code == 200
    grown = {each: value - before.get(each, 0) for each, value in samples(client).items()}
    names = ("tuneship_outcomes_total", "tuneship_score_count", "tuneship_score_bucket", "tuneship_drift_inputs")
    counts = {f"{name} {sorted(labels)}": value for (name, labels), value in grown.items() if name in names and value}
    return {**counts, "scores": total(grown, "tuneship_score_sum")}


@pytest.mark.parametrize(
    ("toy", "parameters"),
    [
        ("text-classification", {"function_to_apply": "none", "top_k": 1}),
        ("text-classification", {"function_to_apply": "sigmoid"}),
        ("multi-label-classification", {"threshold": 0.0}),
        ("multi-label-classification", {"threshold": 1.0}),
        ("multi-label-classification", {"top_k": 1}),
        ("multi-label-classification", {"function_to_apply": "none"}),
        ("token-classification", {"aggregation_strategy": "none", "ignore_labels": []}),
        ("token-classification", {"ignore_labels": ["PER"]}),
        ("question-answering", {"max_answer_len": 1, "top_k": 3}),
        ("answers or none", {"handle_impossible_answer": False}),
    ],
)
def test_parameters_change_no_metric(
    task_client: Callable[[str], TestClient], toy: str, parameters: dict[str, Any]
) -> None:
    """Labels, scores and drift are counted for the model's own answers, whatever the caller's parameters."""
    client, inputs = task_client(toy), EXAMPLES[toy]
    plain, told = {"inputs": inputs}, {"inputs": inputs, "parameters": parameters}
    assert client.post("/predict", json=plain).json() != client.post("/predict", json=told).json()
    expected = counted(client, "/predict", plain)
    assert len(expected) > 2
    assert counted(client, "/predict", told) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("raw_scores", [False, True])
def test_answers_with_every_label(task_client: Callable[[str], TestClient], raw_scores: bool) -> None:
    """Where every label is sent, as text-embeddings-inference does, those above their thresholds are counted."""
    client, texts = task_client("multi-label-classification"), EXAMPLES["multi-label-classification"]
    body = {"inputs": [[text] for text in texts], "raw_scores": raw_scores}
    expected = pytest.approx(counted(client, "/predict", {"inputs": texts}), abs=1e-5)
    assert counted(client, "/tei/predict", body) == expected


@pytest.mark.parametrize(
    ("parameters", "again"), [({}, False), ({"top_k": 1}, False), ({"function_to_apply": "none"}, True)]
)
def test_nothing_is_decoded_twice(predictor: Predictor, parameters: dict[str, Any], again: bool) -> None:
    """Answers that no parameter changed are not decoded a second time."""
    model = Model(predictor, "m", ModelMetrics(Metrics(), "m", predictor.bundle), ServerLimits())
    encoded = predictor.encode([TEXT])
    request = Request([TEXT], True, predictor.task.parameters_type(**parameters))
    reply = model.decode(request, encoded, [predictor.run(encoded[0].windows)])
    assert (reply.own_answers is not reply.answers) == again
    assert model.metrics.count_answers(reply) == [predictor.predict([TEXT])[0][0]["label"]]


@pytest.mark.slow
def test_bounded(tiny_bundle: Path) -> None:
    """No request creates a series with a value of the caller's."""
    app = create_app(
        lambda: Predictor.open(tiny_bundle), access_policy=AccessPolicy(api_keys=("k" * 16,), open_metrics=True)
    )
    with TestClient(app) as client:

        def ask(number: int) -> None:
            key = {"X-API-Key": "k" * 16, "X-Request-ID": f"id{number}"}
            client.request(f"BREW{number}", "/predict", headers=key)
            client.get(f"/no/such/path/{number}", headers=key)
            client.get(f"/no/such/path/{number}")
            body = {"inputs": TEXT, "parameters": {"top_k": 1 + number % 2}}
            client.post(f"/predict?n={number}", json=body, headers=key)
            client.post("/predict", json={"inputs": TEXT, f"key {number}": 1}, headers=key)

        ask(0)
        client.get("/metrics")
        before = set(samples(client))
        for number in range(1, 20):
            ask(number)
        assert set(samples(client)) == before


def test_labels_are_the_bundles(fresh: TestClient, texts: list[str], predictor: Predictor) -> None:
    """Only labels of the bundle are counted."""
    fresh.post("/predict", json={"inputs": texts[:20]})
    found = samples(fresh)
    labels = {dict(labels)["label"] for name, labels in found if name == "tuneship_outcomes_total"}
    assert set() < labels <= set(predictor.manifest.labels)


@pytest.mark.parametrize("toy", ["token-classification", "question-answering", "multi-label-classification"])
def test_scores_of_tasks(task_client: Callable[[str], TestClient], toy: str) -> None:
    """Tasks that answer with scores fill the histogram with values between 0 and 1."""
    inputs = (
        {"question": "where is Ada?", "context": "Ada flew to Oslo."} if "question" in toy else "Ada flew to Oslo ."
    )
    client = task_client(toy)
    before = samples(client)
    answer = client.post("/predict", json={"inputs": inputs}).json()
    after = samples(client)
    grown = total(after, "tuneship_score_count") - total(before, "tuneship_score_count")
    assert grown == (0 if answer in ([], [[]]) else 1)
    assert total(after, "tuneship_score_sum") <= total(after, "tuneship_score_count")


def test_base_units(fresh: TestClient) -> None:
    """Names end in a base unit, and each metric has a help text."""
    fresh.post("/predict", json={"inputs": TEXT})
    text = fresh.get("/metrics").text
    for family in text_string_to_metric_families(text):
        if family.name.startswith("tuneship_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            assert family.documentation.endswith(".")
            assert name.endswith(UNITS) or name in UNITLESS, name
    assert "_created" not in text


def test_reference_page(fresh: TestClient) -> None:
    """docs/metrics.md lists every metric of a running server with its type, and no other."""
    fresh.post("/predict", json={"inputs": TEXT})
    families = text_string_to_metric_families(fresh.get("/metrics").text)
    running = {
        (family.name + ("_total" if family.type == "counter" else ""), family.type)
        for family in families
        if family.name.startswith("tuneship_")
    }
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert set(re.findall(r"^\| `(tuneship_\w+)` \| (\w+) \|", page, re.MULTILINE)) == running
