"""OpenAI's decisions, asked by its own client of real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.testclient import TestClient

from serving.bundle.manifest import Limits
from serving.errors import InputError
from serving.http.app import create_app
from serving.http.models.sources import find_bundles
from serving.inference.predictor import Predictor
from serving.protocols.openai_decisions.body import Body
from serving.protocols.openai_decisions.labels import resolve
from serving.protocols.openai_decisions.probabilities import choose, place_on_levels, rate
from serving.tasks import TASKS
from serving.tasks.base import Task
from tests.serving.processes import ServerProcess

TEXT = "where is my parcel?"


def choice(*values: str | bool, **more: Any) -> Any:
    """A question."""
    return {"type": "choice", "instructions": "What?", "choices": [{"value": each} for each in values], **more}


def score(*levels: str, **more: Any) -> Any:
    """A question."""
    return {"type": "score", "instructions": "How?", "levels": [{"label": each} for each in levels], **more}


def predicate(name: str | None = None, instructions: str = "Is it?") -> Any:
    """A question."""
    return {"type": "predicate", "instructions": instructions} | ({} if name is None else {"name": name})


@pytest.fixture(scope="module")
def asked(server: ServerProcess) -> Iterator[openai.OpenAI]:
    """OpenAI's client of a classifier's server."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def test_answers_in_order(asked: openai.OpenAI, predictor: Predictor) -> None:
    """Predicate, choice and score of one request, from the labels' calibrated probabilities."""
    scores = {each["label"]: each["score"] for each in predictor.predict([TEXT])[0]}
    first, *others = predictor.task.labels
    questions = [choice(*scores, name="topic"), predicate(first), predicate(None, first), score(*others, name="level")]
    found = asked.decisions.create(model="any", input=TEXT, questions=questions)
    topic, named, told, level = found.answers
    assert topic.type == "choice"
    assert (topic.name, topic.choice) == ("topic", next(iter(scores)))
    assert {each.value: each.probability for each in topic.probabilities} == pytest.approx(scores, abs=1e-4)
    assert (named.type, named.name, told.name) == ("predicate", first, None)
    assert named.probability == pytest.approx(scores[first], abs=1e-4)
    assert named.probability == told.probability
    assert level.type == "score"
    among = scores[others[1]] / (scores[others[0]] + scores[others[1]])
    assert level.score == pytest.approx(among, abs=1e-4)
    assert [(each.value, each.label) for each in level.probabilities] == list(enumerate(others))
    assert found.usage.total_tokens == found.usage.input_tokens > 0


@pytest.mark.parametrize(
    "content",
    [
        [{"role": "user", "content": TEXT}],
        [{"role": "user", "content": [{"type": "input_text", "text": TEXT}], "type": "message"}],
        [{"role": "user", "content": [{"type": "input_json", "data": {"text": TEXT}}]}],
    ],
)
def test_messages(asked: openai.OpenAI, predictor: Predictor, content: Any) -> None:
    """A user's message is the text."""
    first = predictor.task.labels[0]
    questions = [predicate(first)]
    plain, found = (asked.decisions.create(model="any", input=each, questions=questions) for each in (TEXT, content))
    assert plain == found


@pytest.mark.parametrize(
    ("content", "question", "message"),
    [
        (
            TEXT,
            choice("refund", "films"),
            "questions[0].choices[1].value is 'films', which is no label of this model",
        ),
        (TEXT, choice("refund", "refund"), "questions[0].choices[1].value is 'refund', as another one is"),
        (TEXT, choice("refund", True), "questions[0].choices[1].value is True, which is no label"),
        (TEXT, choice("refund"), "questions.0.choice.choices: List should have at least 2 items"),
        (TEXT, score("refund", "much"), "questions[0].levels[1].label is 'much', which is no label of this model"),
        (TEXT, predicate("urgent"), "questions[0] is a predicate, and its name is no label of this model; give it"),
        (TEXT, {"type": "guess", "instructions": "?"}, "questions.0: Input tag 'guess' found"),
        (
            [{"role": "system", "content": "a"}],
            predicate("refund"),
            "input[0] is of 'system'; a fine-tuned model",
        ),
        ([{"type": "function_call", "name": "f"}], predicate("refund"), "input[0] is of 'function_call'"),
        (
            [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}],
            predicate("refund"),
            "input[0].content[0] is 'input_image'; input_text and input_json are accepted",
        ),
        ("", predicate("refund"), "input is empty"),
        ([], predicate("refund"), "input is an empty list"),
    ],
)
def test_refused(asked: openai.OpenAI, content: Any, question: Any, message: str) -> None:
    """What no label answers is refused in OpenAI's shape, and the message names the part."""
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        asked.decisions.create(model="any", input=content, questions=[question])
    assert caught.value.body["message"].startswith(message)  # type: ignore[index]


@pytest.mark.parametrize("kind", [300 * "guess", 300 * [0]])
def test_a_long_type_is_shortened(asked: openai.OpenAI, kind: Any) -> None:
    """It is the caller's; the message ends with what is accepted all the same."""
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        asked.decisions.create(model="any", input=TEXT, questions=[{"type": kind, "instructions": "?"}])
    message = caught.value.body["message"]  # type: ignore[index]
    assert len(message) < 400
    assert "'predicate', 'choice', 'score'" in message


def test_other_tasks(task_client: Callable[[str], TestClient]) -> None:
    """Say that labels answer."""
    body = {"model": "m", "input": TEXT, "questions": [predicate("a")]}
    response = task_client("feature-extraction").post("/v1/decisions", json=body)
    assert response.status_code == 422
    assert "is answered by labels, and this bundle's task is feature-extraction" in response.json()["error"]["message"]


def test_several_models(tiny_bundle: Path, task_bundle: Callable[[str], Path], predictor: Predictor) -> None:
    """A question goes to the model that it is named after, or whose labels it is about; the request's comes first."""
    labels = predictor.task.labels
    specs = [
        f"topic={tiny_bundle}",
        f"size={task_bundle('regression')}",
        f"vectors={task_bundle('feature-extraction')}",
    ]
    with TestClient(create_app(*find_bundles(specs))) as client:
        numbers = [str(number) for number in range(1000, 1200, 10)]

        def ask(model: str, *questions: Any) -> Any:
            response = client.post("/v1/decisions", json={"model": model, "input": TEXT, "questions": questions})
            return response.json().get("answers") or response.json()["error"]["message"]

        several = [choice(*labels), score(*numbers), predicate(labels[0]), score(*numbers, name="size")]
        answers = ask("topic", *several)
        assert [each["type"] for each in answers] == ["choice", "score", "predicate", "score"]
        assert answers == ask("size", *several) == ask("vectors", *several)
        (number,) = client.post("/models/size/predict", json={"inputs": TEXT}).json()[0]
        assert answers[1]["score"] == pytest.approx((number["score"] - 1000) / 10, abs=1)
        assert ask("topic", choice("films", "songs")).startswith("questions[0].choices[0].value is 'films'")
        assert "name is no label" in ask("topic", predicate("films"))
        assert ask("nobody", *several).startswith("no model is named 'nobody'")
        own = client.post("/models/size/v1/decisions", json={"input": TEXT, "questions": [choice(*labels)]})
        assert "this model answers a number; ask a score" in own.text


def task_of(name: str, *labels: str, **settings: Any) -> Task:
    """With these labels."""
    return TASKS[name](labels, TASKS[name].settings_type.model_validate(settings), Limits())


@pytest.mark.parametrize(
    ("task", "question", "found"),
    [
        (task_of("text-classification", "not_spam", "spam"), predicate("anything"), [1]),
        (task_of("text-classification", "False", "True"), choice(True, False), [1, 0]),
        (task_of("text-classification", "low", "high"), score("low", "high"), [0, 1]),
        (task_of("multi-label-classification", "a", "b", "c"), predicate("c"), [2]),
        (task_of("multi-label-classification", "a", "b"), choice("a", "b"), "decides each label on its own"),
        (task_of("multi-label-classification", "a", "b"), score("a", "b"), "ask a predicate for each label"),
        (task_of("regression", "stars"), score("1", "2", "2.5"), []),
        (task_of("regression", "stars"), score("1", "1"), "labels that are rising numbers are accepted"),
        (task_of("regression", "stars"), score("1", "inf"), "labels that are rising numbers are accepted"),
        (task_of("regression", "stars"), score("bad", "good"), "labels that are rising numbers are accepted"),
        (task_of("regression", "stars"), predicate("stars"), "this model answers a number"),
        (task_of("text-classification", "ham", "spam"), predicate("anything"), "its name is no label of this model"),
    ],
)
def test_labels(task: Task, question: Any, found: list[int] | str) -> None:
    """Which a question is about, or why none."""
    content = Body.model_validate({"input": "a", "questions": [question]})
    if isinstance(found, list):
        assert resolve(content, 0, task) == found
        return
    with pytest.raises(InputError, match=found) as caught:
        resolve(content, 0, task)
    assert str(caught.value).startswith("questions[0]")


def test_probabilities() -> None:
    """They add up to 1; confidence is 0 by chance and 1 where all is certain."""
    even = choose(["a", "b"], [0.1, 0.1], 0)
    assert even["confidence"] == 0
    assert [each["probability"] for each in even["probabilities"]] == [0.5, 0.5]
    assert choose(["a", "b"], [1.0, 0.0], 0)["confidence"] == 1
    assert (rate(["a", "b", "c"], [0, 0, 1])["confidence"], rate(["a", "b", "c"], [0, 0, 1])["score"]) == (1, 2)
    assert rate(["a", "b"], [0.0, 0.0])["score"] == 0.5


def test_numbers_on_levels() -> None:
    """Without an interval two neighbours share; with one, probabilities follow from its coverage."""
    assert place_on_levels(2.25, [1, 2, 3], None, 0.9) == pytest.approx([0, 0.75, 0.25])
    assert place_on_levels(9, [1, 2, 3], None, 0.9) == [0, 0, 1]
    assert place_on_levels(2, [1, 2, 3], 0.5, 0.9) == pytest.approx([0.05, 0.9, 0.05])
    assert sum(place_on_levels(-1e300, [1, 2, 3], 2.0, 0.9)) == pytest.approx(1)
