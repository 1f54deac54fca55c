"""Explanations over HTTP: what is scored, what they add up to, what is refused, and that nobody else is touched."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from serving.batching.batch_shape import QueueLimits
from serving.errors import InputError
from serving.explain.explainer import Explainer
from serving.explain.masking import replacements, select_replacement
from serving.explain.parameters import MAX_ROWS, MAX_TOKENS, ExplainParameters
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.settings.limits import ServerLimits
from tests import zoo_tokenizers
from tests.bundles import with_limits
from tests.serving.examples import EXAMPLES, FAMILY, NOISE

Clients = Callable[[str], TestClient]
Predictors = Callable[[str], Predictor]

TEXT = f"{FAMILY} please cancel my parcel"
LONG = "where is my parcel? " * 20 + "refund it and cancel order 17 " * 20
EXPLAINED = sorted(set(EXAMPLES) - {"feature-extraction"})


def explain(client: TestClient, inputs: Any, **parameters: Any) -> Any:
    """The explanation of a request that is accepted."""
    response = client.post("/explain", json={"inputs": inputs, "parameters": parameters})
    assert response.status_code == 200, response.text
    return response.json()


def refusal(client: TestClient, body: Any) -> tuple[int, str]:
    """Status and message of a request that is not."""
    response = client.post("/explain", json=body)
    return response.status_code, response.json()["error"]


def scores(answer: Any) -> dict[str, float]:
    """Word to score."""
    return {token["word"]: token["score"] for token in answer["tokens"]}


def test_the_decisive_word(client: TestClient) -> None:
    """The word that the toy's label hangs on has the highest score; places count code points of the text as sent."""
    answer = explain(client, TEXT)
    found = scores(answer)
    assert answer["target"]["label"] == "cancel"
    assert max(found, key=found.__getitem__) == "cancel"
    assert list(found)[-4:] == ["please", "cancel", "my", "parcel"]
    assert all(TEXT[token["start"] : token["end"]] == token["word"] for token in answer["tokens"])
    assert {token["field"] for token in answer["tokens"]} == {"inputs"}


def test_occlusion_is_what_is_lost(client: TestClient, predictor: Predictor) -> None:
    """A word's score is the logit as it is less the logit with the mask token in its place, asked by hand."""
    text = "where is my parcel"
    logits = {
        shown: predictor.predict([shown], predictor.task.parameters_type(function_to_apply="none"))[0]
        for shown in (text, text.replace("where", "[MASK]"), "[MASK] [MASK] [MASK] [MASK]")
    }
    by_label = {shown: {each["label"]: each["score"] for each in answer} for shown, answer in logits.items()}
    answer = explain(client, text, target="refund")
    whole, without, nothing = (each["refund"] for each in by_label.values())
    assert answer["replacement"] == {"kind": "mask", "token": "[MASK]"}
    assert answer["target"] == {"label": "refund", "score": pytest.approx(whole, abs=1e-5)}
    assert scores(answer)["where"] == pytest.approx(whole - without, abs=1e-5)
    assert answer["base_value"] == pytest.approx(nothing, abs=1e-5)


@pytest.mark.parametrize("toy", EXPLAINED)
@pytest.mark.parametrize("method", ["occlusion", "shap"])
def test_every_task(task_client: Clients, toy: str, method: str) -> None:
    """Every input that has an answer gets scores in its own texts, which add up as the answer itself tells."""
    for inputs in EXAMPLES[toy]:
        body = {"inputs": inputs, "parameters": {"method": method}}
        if toy == "token-classification" and not task_client(toy).post("/predict", json={"inputs": inputs}).json():
            assert refusal(task_client(toy), body) == (
                422, "no entity was found in this text, so there is none to explain",
            )  # fmt: skip
            continue
        answer = explain(task_client(toy), inputs, method=method)
        texts = inputs if isinstance(inputs, dict) else {"inputs": inputs}
        assert {token["field"] for token in answer["tokens"]} == set(texts)
        assert all(texts[each["field"]][each["start"] : each["end"]] == each["word"] for each in answer["tokens"])
        total = sum(token["score"] for token in answer["tokens"])
        gap = answer["target"]["score"] - answer["base_value"] - total
        assert answer["additivity_gap"] == pytest.approx(gap, abs=1e-6)
        assert method == "occlusion" or abs(gap) < 1e-6
        assert answer["rows"] <= MAX_ROWS


def test_a_pair_is_read_from_its_second_text(task_client: Clients) -> None:
    """Of a pair whose second text decides, the second text has the larger share."""
    inputs = {"text": "stop the blue lamp now", "text_pair": "refund order 17"}
    answer = explain(task_client("text pairs"), inputs, method="shap")
    share = {
        field: sum(abs(token["score"]) for token in answer["tokens"] if token["field"] == field) for field in inputs
    }
    assert share["text_pair"] > share["text"]


def test_a_regression_in_its_unit(task_client: Clients) -> None:
    """What is explained of a regression is its number, in the data's unit."""
    ((answered,),) = task_client("regression").post("/predict", json={"inputs": "where is my parcel?"}).json()
    (target,) = [explain(task_client("regression"), "where is my parcel?")["target"]]
    assert target == {"label": answered["label"], "score": pytest.approx(answered["score"], rel=1e-5)}


@pytest.mark.slow
def test_probabilities_are_those_answered(task_client: Clients) -> None:
    """As a probability, the target's score is the one that /predict answers, of a label and of an entity."""
    for toy in ("text-classification", "multi-label-classification"):
        client, text = task_client(toy), EXAMPLES[toy][0]
        answered = client.post("/predict", json={"inputs": [text], "parameters": {}}).json()[0]
        target = explain(client, text, output="probability")["target"]
        assert target == {**answered[0], "score": pytest.approx(answered[0]["score"], abs=1e-6)}
    client = task_client("token-classification")
    for text in (EXAMPLES["token-classification"][1], EXAMPLES["token-classification"][3]):
        for entity in client.post("/predict", json={"inputs": text}).json():
            place = {"start": entity["start"], "end": entity["end"]}
            target = explain(client, text, target=place, output="probability")["target"]
            expected = {"label": entity["entity_group"], **place, "score": pytest.approx(entity["score"], abs=1e-5)}
            assert target == expected


def test_an_entity_of_a_type(task_client: Clients) -> None:
    """A type names the first entity of it; what is said past the first window is explained there."""
    client, long = task_client("token-classification"), EXAMPLES["token-classification"][3]
    kyoto = {"start": long.index("Kyoto"), "end": long.index("Kyoto") + 5}
    answer = explain(client, long, target=kyoto)
    assert answer["target"].items() >= {"label": "LOC", **kyoto}.items()
    assert answer["tokens"][0]["start"] > 0
    assert answer["tokens"][-1]["word"] == "."
    target = explain(client, "Ada flew to Oslo .", target="LOC")["target"]
    assert (target["start"], target["end"]) == (12, 16)
    message = refusal(client, {"inputs": "Ada flew to Oslo .", "parameters": {"target": "ORG"}})[1]
    assert message == "parameters.target: there is no such entity; found were: PER at 0–3, LOC at 12–16"


def test_an_answer_rests_on_its_question(task_client: Clients) -> None:
    """An answer's explanation has words of the question and of the context, the answer's own among them."""
    inputs = {"question": "where is Zoë?", "context": NOISE * 6 + "Zoë lives in 北京. " + NOISE}
    answer = explain(task_client("question-answering"), inputs)
    start, end = answer["target"]["start"], answer["target"]["end"]
    assert inputs["context"][start:end] == answer["target"]["label"]
    inside = [each for each in answer["tokens"] if each["field"] == "context" and start <= each["start"] < end]
    assert inside
    assert any(each["score"] > 0 for each in inside)


def test_tokens_or_words(client: TestClient) -> None:
    """Pieces of a word are scored apart when asked for, and never overlap."""
    text = "unsubscriptional parcels"
    words, tokens = explain(client, text), explain(client, text, granularity="token")
    assert [each["word"] for each in words["tokens"]] == text.split()
    assert len(tokens["tokens"]) > 2
    places = [(each["start"], each["end"]) for each in tokens["tokens"]]
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(places))
    assert "".join(each["word"] for each in tokens["tokens"]) == text.replace(" ", "")


@pytest.mark.parametrize("kind", ["mask", "unk", "pad", "delete"])
def test_every_replacement(client: TestClient, kind: str) -> None:
    """Whatever hides the words, the label's own word counts most; the answer tells what hid it."""
    answer = explain(client, "please cancel order 17", replacement=kind)
    found = scores(answer)
    assert max(found, key=found.__getitem__) == "cancel"
    assert answer["replacement"]["kind"] == kind


def test_deleting_is_asking_without(client: TestClient, predictor: Predictor) -> None:
    """A deleted word's row is the text without that word."""
    answer = explain(client, "refund my parcel", replacement="delete", output="probability")
    label = answer["target"]["label"]
    (shorter,) = predictor.predict(["refund parcel"])
    without = next(each["score"] for each in shorter if each["label"] == label)
    assert answer["target"]["score"] - scores(answer)["my"] == pytest.approx(without, abs=1e-6)


def test_a_seed_repeats_and_small_texts_are_exact(client: TestClient) -> None:
    """A short text's Shapley values are exact; a long one's are drawn, the same again for the same seed."""
    assert explain(client, "refund my parcel", method="shap")["exact"] is True
    long = "when is my parcel paid back and where is the blue lamp today please"
    one, same, other = (explain(client, long, method="shap", samples=4, seed=seed) for seed in (3, 3, 4))
    assert one["exact"] is False
    assert one == same
    assert one["tokens"] != other["tokens"]
    assert all(each["standard_error"] >= 0 for each in one["tokens"])


def test_methods_agree_on_what_matters(client: TestClient) -> None:
    """The word that counts most by occlusion is one of the two that count most by Shapley values."""
    for text in ("please cancel order 17", "refund the blue lamp", "where is my parcel?"):
        by_loss, by_value = (scores(explain(client, text, method=method)) for method in ("occlusion", "shap"))
        assert max(by_loss, key=by_loss.__getitem__) in sorted(by_value, key=by_value.__getitem__)[-2:]


@pytest.mark.parametrize("method", ["occlusion", "shap"])
def test_a_long_text_is_bounded(task_client: Clients, method: str) -> None:
    """However long the text, the rows and their tokens stay within the limits that /info tells."""
    client = task_client("token-classification")
    limits = client.get("/info").json()["limits"]
    assert (limits["max_explain_rows"], limits["max_explain_tokens"]) == (MAX_ROWS, MAX_TOKENS)
    answer = explain(client, NOISE * 9 + "Grace will leave Kyoto .", method=method)
    assert answer["rows"] <= MAX_ROWS
    assert answer["truncated"] is False


def test_units_are_hidden_together_past_the_limit(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where single words would cost too many rows, neighbours share a row and its score, and the answer says so."""
    monkeypatch.setattr("serving.explain.explainer.MAX_ROWS", 8)
    text = "where is my parcel and when is it paid back today please"
    answer = Explainer(predictor).explain(text, ExplainParameters())
    assert answer["rows"] <= 8
    assert answer["units_hidden_together"] == 2
    assert [each["word"] for each in answer["tokens"]] == text.split()
    assert answer["tokens"][0]["score"] == answer["tokens"][1]["score"]


def test_a_cut_text_says_so(client: TestClient) -> None:
    """A text past the window is explained as far as it was read."""
    answer = explain(client, "where is my parcel? " * 40)
    assert answer["truncated"] is True
    assert answer["tokens"][-1]["end"] < 800
    assert explain(client, "where is my parcel?")["truncated"] is False


@pytest.mark.parametrize("toy", ["text-classification", "text pairs", "multi-label-classification", "regression"])
def test_truncation_is_the_callers_choice(task_client: Clients, toy: str) -> None:
    """Whichever end of a long text the caller has cut off, what is explained is what /predict answers, and the header
    says that it was cut; a caller that wants none of it cut is refused as there."""
    client, score = task_client(toy), "logit" if toy == "regression" else "probability"
    inputs = {"text": "stop", "text_pair": LONG} if toy == "text pairs" else LONG
    for side in ("right", "left"):
        options: dict[str, Any] = {"inputs": inputs, "parameters": {"truncation_direction": side}}
        (answered, *_), *_ = client.post("/predict", json=options).json()
        response = client.post("/explain", json={**options, "parameters": {**options["parameters"], "output": score}})
        assert response.headers["x-truncated"] == "0"
        found = response.json()
        target = {"label": answered["label"], "score": pytest.approx(answered["score"], rel=1e-5, abs=1e-6)}
        assert found["target"] == target
        assert found["truncated"] is True
        assert (found["tokens"][-1]["end"] == len(LONG.rstrip())) == (side == "left")
    whole = {"inputs": inputs, "parameters": {"truncate": False}}
    assert refusal(client, whole) == (422, client.post("/predict", json=whole).json()["error"])
    assert "x-truncated" not in client.post("/explain", json={"inputs": EXAMPLES[toy][0]}).headers


def test_what_is_read_in_windows_is_not_cut(task_client: Clients) -> None:
    """Of a text that is read through several windows nothing is cut, and nothing refused for its length."""
    body = {"inputs": NOISE * 9 + "Grace will leave Kyoto .", "parameters": {"truncate": False}}
    response = task_client("token-classification").post("/explain", json=body)
    assert (response.status_code, response.json()["truncated"]) == (200, False)
    assert "x-truncated" not in response.headers


def test_what_thresholds_answer_is_explained(task_bundle: Callable[[str], Path]) -> None:
    """Of several labels the best one answered is explained, though another one's chance be higher; where none is
    answered, the likeliest."""
    predictor, text = Predictor.open(task_bundle("multi-label-classification")), "refund order 17"
    likeliest, second, *_ = predictor.predict([text], predictor.task.parameters_type(threshold=0.0))[0]

    def explained(accepted: str | None) -> str:
        thresholds = [0.0 if label == accepted else 1.0 for label in predictor.task.labels]
        predictor.task.settings = predictor.task.settings.model_copy(update={"thresholds": thresholds})
        answered = [each["label"] for each in predictor.predict([text])[0]]
        assert answered == [accepted][: len(answered)]
        label: str = Explainer(predictor).explain(text, ExplainParameters())["target"]["label"]
        return label

    assert explained(second["label"]) == second["label"]
    assert explained(None) == likeliest["label"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": {"start": 0, "end": 1}}, "parameters.target: a place is no label; labels are: cancel, refund"),
        ({"target": {"start": 0, "end": 1, "truncate": True}}, "parameters.target"),
        ({"target": "weather"}, "parameters.target: 'weather' is no label; labels are: cancel, refund, track"),
        ({"method": "lime"}, "parameters.method"),
        ({"samples": 3}, "parameters.samples"),
        ({"samples": 1024, "method": "shap"}, "orders of 7 units cost 6,146 rows; at most 256"),
        ({"steps": 3}, "parameters.steps"),
    ],
)
def test_refused_parameters(client: TestClient, parameters: dict[str, Any], message: str) -> None:
    """What cannot be had is refused with the field, what was found and what is accepted."""
    text = "can you cancel my parcel today"
    status, error = refusal(client, {"inputs": text + "?", "parameters": parameters})
    assert status in (413, 422)
    assert message in error


def test_refused_inputs(client: TestClient, task_client: Clients) -> None:
    """A list, an empty text, a wrong shape and a task without a number to explain are refused with a reason."""
    assert "one input at a time" in refusal(client, {"inputs": ["a", "b"]})[1]
    assert refusal(client, {"inputs": " "})[0] == 422
    assert refusal(client, {"text": "a"})[0] == 422
    assert refusal(task_client("feature-extraction"), {"inputs": "a"}) == (
        422, "a vector is no single number, and no one of its numbers means anything alone: /explain has no target",
    )  # fmt: skip
    question = {"inputs": EXAMPLES["question-answering"][0], "parameters": {"output": "probability"}}
    assert "there is no probability to explain" in refusal(task_client("question-answering"), question)[1]
    deleting = {"inputs": "Ada flew to Oslo .", "parameters": {"replacement": "delete"}}
    assert "would move the very tokens" in refusal(task_client("token-classification"), deleting)[1]
    assert client.post("/explain", content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    assert client.get("/explain").status_code == 405


def test_nobody_else_is_touched(client: TestClient, predictor: Predictor) -> None:
    """Answers asked for while explanations run are, to the last digit, those of a server that does nothing else."""
    texts = ["refund order 17", "where is that subscription?", TEXT]
    alone = [client.post("/predict", json={"inputs": text}).json() for text in texts]
    with ThreadPoolExecutor(6) as pool:
        busy = [pool.submit(explain, client, TEXT, method="shap", seed=seed) for seed in range(3)]
        beside = [pool.submit(client.post, "/predict", json={"inputs": text}) for text in texts * 5]
        answers = [each.result().json() for each in beside]
        assert all(each.result()["tokens"] for each in busy)
    for answer, expected in zip(answers, alone * 5, strict=True):
        assert [each["label"] for each in answer[0]] == [each["label"] for each in expected[0]]
        assert np.allclose([e["score"] for e in answer[0]], [e["score"] for e in expected[0]], atol=1e-6)


def test_dynamic_int8_explains_itself(dynamic_predictor: Predictor) -> None:
    """A variant whose rows are run alone is explained by its own answers."""
    answer = Explainer(dynamic_predictor).explain(
        "can you cancel order 17 today?", ExplainParameters(output="probability")
    )
    (answered,) = dynamic_predictor.predict(["can you cancel order 17 today?"])
    assert answer["target"] == {**answered[0], "score": pytest.approx(answered[0]["score"], abs=1e-9)}


@pytest.mark.parametrize("toy", ["token-classification", "question-answering"])
def test_hidden_answers_have_numbers(task_predictor: Predictors, toy: str) -> None:
    """Where only padding can stand for a word, an answer's own tokens can be hidden too: every score is finite."""
    answer = Explainer(task_predictor(toy)).explain(EXAMPLES[toy][0], ExplainParameters(replacement="pad"))
    scores = [answer["base_value"], answer["additivity_gap"], *(token["score"] for token in answer["tokens"])]
    assert np.isfinite(scores).all()
    assert max(map(abs, scores)) < 1e6


def test_a_full_queue_refuses(tiny_bundle: Path, tmp_path: Path) -> None:
    """Where the queue is full, explanations are refused too, and told when to come back."""
    bundle = with_limits(tiny_bundle, tmp_path / "bundle")
    with (
        TestClient(
            create_app(lambda: Predictor.open(bundle), server_limits=ServerLimits(QueueLimits(rows=1)))
        ) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        body = {"inputs": TEXT, "parameters": {"method": "shap"}}
        found = list(pool.map(lambda _: client.post("/explain", json=body), range(8)))
    assert {each.status_code for each in found} <= {200, 429}
    assert all("Retry-After" in each.headers for each in found if each.status_code == 429)


@pytest.mark.slow
def test_cost_is_known_before(task_client: Clients, task_predictor: Predictors) -> None:
    """What an explanation costs at most is known from its text and parameters: at least its rows' tokens."""
    for toy in EXPLAINED:
        explainer = Explainer(task_predictor(toy))
        for parameters in ({}, {"method": "shap"}, {"method": "shap", "samples": 4}, {"granularity": "token"}):
            options = ExplainParameters(**parameters)
            (encoded,) = explainer._predictor.encode([explainer._predictor.check(EXAMPLES[toy][0])], options)
            results = explainer._predictor.run(encoded.windows)
            rows = explainer.plan(encoded, results, options).rows
            ran = encoded.tokens + sum(len(row.ids) for row in rows)
            assert ran <= explainer.cost(encoded, options) <= 1.5 * ran


def test_behind_others_a_late_one_is_refused(tiny_bundle: Path) -> None:
    """An explanation that would miss its deadline behind others gets 429 and when to come back, before its body."""
    app = create_app(lambda: Predictor.open(tiny_bundle))
    with TestClient(app) as client:
        explain(client, TEXT)
        model = app.server_state.models.default.model
        model.explanations._tokens = 10**9
        response = client.post("/explain", json={"inputs": TEXT})
        assert response.status_code == 429
        assert "tokens of explanations take" in response.json()["error"]
        assert int(response.headers["Retry-After"]) > 30
        assert client.post("/predict", json={"inputs": TEXT}).status_code == 200
        model.explanations._tokens = 0


def test_switched_off(tiny_bundle: Path) -> None:
    """Where explanations are switched off, the path answers 404 and why, and the document leaves it out."""
    limits = ServerLimits(max_explanations=0)
    with TestClient(create_app(lambda: Predictor.open(tiny_bundle), server_limits=limits)) as client:
        for path in ("/explain", "/models/run/explain"):
            response = client.post(path, json={"inputs": TEXT})
            assert response.status_code == 404
            assert "explanations are switched off on this server" in response.json()["error"]
        assert client.get("/info").json()["limits"]["max_explanations"] == 0
        assert not [path for path in client.get("/openapi.json").json()["paths"] if "explain" in path]
        assert "/explain" not in client.get("/models/run/openapi.json").json()["paths"]


def test_the_schema_tells_the_truth(client: TestClient, task_client: Clients) -> None:
    """The OpenAPI document has the endpoint where the task is explained, and an explanation follows its schema."""
    from tests.serving.http.openapi.test_document import problems

    document = client.get("/openapi.json").json()
    post = document["paths"]["/explain"]["post"]
    for parameters in ({}, {"method": "shap"}, {"granularity": "token", "samples": 4, "method": "shap"}):
        answer = explain(client, TEXT, **parameters)
        assert problems(answer, {"$ref": "#/components/schemas/Explanation"}, document) == []
    assert post["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Explain"}
    assert document["components"]["schemas"]["Place"]["properties"].keys() == {"start", "end"}
    assert "/explain" not in task_client("feature-extraction").get("/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    "make",
    [
        zoo_tokenizers.bert,
        zoo_tokenizers.roberta,
        zoo_tokenizers.xlm_roberta,
        zoo_tokenizers.mpnet,
        zoo_tokenizers.albert,
        zoo_tokenizers.deberta,
        zoo_tokenizers.modernbert,
    ],
)
def test_replacements_of_each_family(make: Callable[[], Any]) -> None:
    """Every encoder family's tokenizer has a mask token, and it is its own; all can pad and delete."""
    tokenizer = make()
    found = replacements(tokenizer.backend_tokenizer, tokenizer.pad_token_id)
    assert next(iter(found)) == "mask"
    assert list(found)[-2:] == ["pad", "delete"]
    assert (found["mask"].token, found["mask"].id) == (tokenizer.mask_token, tokenizer.mask_token_id)


def test_a_tokenizer_without_a_mask() -> None:
    """Without a mask token the unknown one hides words; without either, padding that nothing attends to."""
    plain = Tokenizer(WordLevel({"[UNK]": 0, "word": 1, "gap": 2}, unk_token="[UNK]"))
    assert list(replacements(plain, 2)) == ["pad", "delete"]
    window = replacements(plain, 2)["pad"].mask_window(plain.encode("word"), [0])
    assert (window.ids, window.attention_mask) == ([2], [0])
    plain.add_special_tokens(["[UNK]"])
    assert select_replacement(plain, 2, None).token == "[UNK]"
    with pytest.raises(InputError, match="has no mask token; accepted are: unk, pad, delete"):
        select_replacement(plain, 2, "mask")


def test_card(client: TestClient, tiny_bundle: Path) -> None:
    """/card is the bundle's own README, as markdown."""
    response = client.get("/card")
    assert response.headers["content-type"].startswith("text/markdown")
    assert response.content == (tiny_bundle / "README.md").read_bytes()
    assert math.isfinite(json.loads(client.get("/info").text)["parity"]["score"])
