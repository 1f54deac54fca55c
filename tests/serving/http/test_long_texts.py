"""Long texts over windows, from the recipe to the answer: what the end says counts, over every road alike."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from starlette.testclient import TestClient

from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from tests.batch.predicting import predict_file
from tests.toys import MORE_TOYS, NOISE, write_toy
from trainer.fit.privacy.attack_run import attack_finished_run
from trainer.model.checkpoint import load_checkpoint
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.train import train

pytestmark = pytest.mark.slow

TOY = "long texts"
LONG = [toy for toy in MORE_TOYS if toy.startswith(TOY)]
TEXTS = [f"{NOISE[:length]}{end}" for length in (0, 90, 200, 400) for end in ("refund order 17", "where is my parcel?")]
TOO_LONG = NOISE * 8 + "refund order 17"


def post(client: TestClient, inputs: Any, path: str = "/predict", **parameters: Any) -> Any:
    response = client.post(path, json={"inputs": inputs, "parameters": parameters})
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(scope="module")
def truncating(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same rows, cut at one window."""
    folder = tmp_path_factory.mktemp("truncating")
    recipe = load_recipe(write_toy(folder, tiny_backbone, TOY, data={"long_text": "truncate"}))
    return train(recipe, folder / "run", console=Console(file=io.StringIO()))


@pytest.mark.parametrize("toy", LONG)
def test_the_proof_counts_windows(task_bundle: Callable[[str], Path], toy: str) -> None:
    """Every answer is the checkpoint's; golden rows have long texts too; card and parity say how many were."""
    bundle = Bundle.open(task_bundle(toy))
    counted = json.loads(bundle.read("parity.json"))["windows"]
    assert bundle.manifest.verdict.passed
    assert bundle.manifest.settings["windows"]["max_windows"] == 12
    assert 0 < counted["in_several"] <= counted["items"]
    assert 1 < counted["most"] <= 12
    assert max(len(row.input_ids) for row in bundle.golden) > 1
    assert f"{counted['in_several']} of {counted['items']} test inputs took more" in bundle.read("README.md").decode()


def test_the_end_counts(task_run: Callable[[str], Run], truncating: Run) -> None:
    """A model that truncates cannot know it of most texts."""
    assert task_run(TOY).read_record()["metrics"]["test"]["accuracy"] > 0.8
    assert truncating.read_record()["metrics"]["test"]["accuracy"] < 0.6
    assert any("are cut" in warning for warning in truncating.read_record()["warnings"])
    assert not task_run(TOY).read_record()["warnings"]


def test_http_answers_as_transformers_and_torch(
    task_run: Callable[[str], Run], task_client: Callable[[str], TestClient]
) -> None:
    """The mean of the logits of the windows that transformers' tokenizer gives, in whatever batch."""
    checkpoint, client = load_checkpoint(task_run(TOY).checkpoint), task_client(TOY)
    encoded = encode(checkpoint.tokenizer, checkpoint.task, TEXTS)
    assert {len(each.windows) for each in encoded} >= {1, 2, 4}
    logits = rows_logits(checkpoint.model, checkpoint.tokenizer, encoded, 4)
    for answer, windows in zip(post(client, TEXTS, function_to_apply="none"), logits, strict=True):
        expected = dict(zip(checkpoint.labels, np.mean(windows, axis=0), strict=True))
        assert {each["label"]: each["score"] for each in answer} == pytest.approx(expected, abs=1e-4)
    for text, answer in zip(TEXTS, post(client, TEXTS), strict=True):
        [alone] = post(client, text)
        assert alone[0]["label"] == answer[0]["label"]
        assert alone[0]["score"] == pytest.approx(answer[0]["score"], abs=1e-5)


def test_only_what_no_window_has_is_cut(task_client: Callable[[str], TestClient]) -> None:
    """A text of several windows is whole; one of more than the most is cut, at the end that is asked, or refused."""
    client = task_client(TOY)
    body = {"inputs": [TEXTS[-1], TOO_LONG]}
    response = client.post("/predict", json=body)
    assert response.headers["x-truncated"] == "1"
    most = client.get("/info").json()["max_input_length"]
    assert most == 2 + 22 + 11 * 16
    refused = client.post("/predict", json={"inputs": TOO_LONG, "parameters": {"truncate": False}})
    assert refused.status_code == 422
    assert refused.json()["error"].endswith(f"and {most} of them are read; shorten it, or allow truncate")
    [left] = post(client, TOO_LONG, truncation_direction="left")
    assert left[0]["label"] == "refund"
    assert "x-truncated" not in client.post("/predict", json={"inputs": TEXTS[-1]}).headers
    fewer = client.post("/predict", json={"inputs": TEXTS[-1], "parameters": {"max_length": 30}})
    assert fewer.headers["x-truncated"] == "0"


def test_an_explanation_is_of_the_window_that_decides(task_client: Callable[[str], TestClient]) -> None:
    """Its words, at their places in the whole text; the score is that of the answer."""
    client, text = task_client(TOY), TEXTS[-2]
    answer, [best, *_] = post(client, text, "/explain", output="probability"), post(client, text)[0]
    assert answer["target"] == {"label": best["label"], "score": pytest.approx(best["score"], abs=1e-5)}
    assert not answer["truncated"]
    assert answer["tokens"][0]["start"] > 0
    assert all(text[token["start"] : token["end"]] == token["word"] for token in answer["tokens"])
    assert max(answer["tokens"], key=lambda token: token["score"])["word"] in ("refund", "order", "17")


def test_files_are_answered_alike(
    task_bundle: Callable[[str], Path], task_client: Callable[[str], TestClient], tmp_path: Path
) -> None:
    """A file of long texts, row by row."""
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"inputs": text}, ensure_ascii=False) + "\n" for text in TEXTS))
    predict_file(Predictor.open(task_bundle(TOY)), source, target)
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    answers = post(task_client(TOY), TEXTS)
    assert [row["outputs"][0]["label"] for row in rows] == [answer[0]["label"] for answer in answers]


def test_an_attack_reads_whole_rows(task_run: Callable[[str], Run]) -> None:
    """Membership inference takes a row's loss over its windows."""
    _, attack, _ = attack_finished_run(task_run(TOY).root)
    losses = attack["mean_losses"]
    assert attack["attacks"].keys() >= {"loss"}
    assert 0 < losses[0] < 1.1
