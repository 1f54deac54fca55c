"""``/classify``, as vLLM and Infinity have it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from serving.inference.predictor import Predictor

Clients = Callable[[str], TestClient]
TEXTS = ["where is my parcel?", "refund order 17"]


@pytest.mark.parametrize("toy", ["text-classification", "multi-label-classification"])
def test_vllm(task_client: Clients, task_predictor: Callable[[str], Predictor], toy: str) -> None:
    """All labels' probabilities, in the model's order, and the best label."""
    answer = task_client(toy).post("/classify", json={"model": "m", "input": TEXTS}).json()
    task, predictor = task_predictor(toy).task, task_predictor(toy)
    parameters = task.parameters_type(**({"threshold": 0.0} if toy.startswith("multi") else {}))
    for index, (found, wanted) in enumerate(zip(answer["data"], predictor.predict(TEXTS, parameters), strict=True)):
        scores = {each["label"]: each["score"] for each in wanted}
        assert (found["index"], found["label"], found["num_classes"]) == (index, wanted[0]["label"], len(task.labels))
        assert found["probs"] == pytest.approx([scores[label] for label in task.labels], abs=1e-5)
    assert (answer["object"], answer["model"]) == ("list", "m")
    assert answer["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("raw", [False, True])
def test_infinity(client: TestClient, predictor: Predictor, raw: bool) -> None:
    """Labels with scores, or with logits."""
    answer = client.post("/classify", json={"input": TEXTS, "raw_scores": raw}).json()
    parameters = predictor.task.parameters_type(function_to_apply="none" if raw else None)
    assert answer["object"] == "classify"
    for found, wanted in zip(answer["data"], predictor.predict(TEXTS, parameters), strict=True):
        assert [each["label"] for each in found] == [each["label"] for each in wanted]
        assert [each["score"] for each in found] == pytest.approx([each["score"] for each in wanted], abs=1e-4)


def test_other_tasks(task_client: Clients) -> None:
    """Say that they have no labels."""
    response = task_client("feature-extraction").post("/classify", json={"input": "a"})
    assert response.status_code == 422
    assert "/classify gives labels, and this bundle's task is feature-extraction" in response.text
