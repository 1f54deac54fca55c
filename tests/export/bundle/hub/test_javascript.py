"""transformers.js gives the golden answers from a folder of `--layout hub`, in Node and in a real browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser

from export.bundle.hub.folder import write_hub
from export.exporter import export_hub
from serving.bundle.bundle import Bundle
from serving.tasks.activations import apply_function
from tests.export.bundle.hub.javascript import ask_node, serving_models
from tests.serving.http.page.browser import CHROMIUM, chromium, visiting
from tests.toys import GENERATING_TOYS, TOYS
from trainer.run.run import Run

pytestmark = pytest.mark.slow
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

Row = dict[str, Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for this file."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def models(task_bundle: Callable[[str], Path], task_run: Callable[[str], Run], tmp_path: Path) -> Callable[..., Row]:
    """Writes a toy's folder, and gives the job of answering its golden rows."""

    def job(toy: str, bundle: Path | None = None, run: Run | None = None, dtype: str = "fp32") -> Row:
        opened, trained = Bundle.open(bundle or task_bundle(toy)), run or task_run(toy)
        (root := tmp_path / toy.replace(" ", "-")).mkdir()
        write_hub(opened, trained.checkpoint, root)
        manifest = opened.manifest
        return {
            "model": root.name,
            "task": manifest.task,
            "dtype": dtype,
            "pair": manifest.settings.get("pair", False),
            "pooling": "mean",
            "prefix": manifest.settings.get("prefix", ""),
            "maxNewTokens": manifest.settings.get("max_new_tokens"),
            "inputs": [row["inputs"] for row in golden_rows(root)],
        }

    return job


def golden_rows(root: Path) -> list[Row]:
    """Those that are read in one window."""
    rows = [json.loads(line) for line in (root / "golden.jsonl").read_text().splitlines()]
    return [row for row in rows if len(row["input_ids"]) == 1]


def check(job: Row, root: Path, answers: Any, tolerance: float = 1e-4) -> None:
    """The answers are the golden ones, and so are the tokens of texts that are not cut."""
    assert isinstance(answers, list), answers
    rows, compare = golden_rows(root), COMPARING["pairs" if job["pair"] else job["task"]]
    labels = [*json.loads((root / "config.json").read_text()).get("id2label", {}).values()]
    for row, found in zip(rows, answers, strict=True):
        whole = len(found["ids"]) == len(row["input_ids"][0])
        if whole:
            assert found["ids"] == row["input_ids"][0]
        if whole or not (job["pair"] or job["task"] == "text-generation"):
            compare(found["answer"], row, labels, tolerance)


def check_scores(answer: Any, row: Row, labels: list[str], tolerance: float) -> None:
    """The answered label is the first; scores that show a threshold's side alone are near 0.5."""
    scores = {each["label"]: each["score"] for each in answer}
    assert answer[0]["label"] == row["outputs"][0]["label"]
    for each in row["outputs"]:
        if abs(scores[each["label"]] - 0.5) > 1e-3:
            assert scores[each["label"]] == pytest.approx(each["score"], abs=tolerance)


def check_many(answer: Any, row: Row, labels: list[str], tolerance: float) -> None:
    """The scores of the labels that are answered."""
    scores = {each["label"]: each["score"] for each in answer}
    assert [scores[each["label"]] for each in row["outputs"]] == pytest.approx(
        [each["score"] for each in row["outputs"]], abs=tolerance
    )


def check_pairs(answer: Any, row: Row, labels: list[str], tolerance: float) -> None:
    """As of one text."""
    scores = apply_function(np.array(answer), "softmax")
    ranked = sorted(zip(labels, scores.tolist(), strict=True), key=lambda pair: -pair[1])
    check_scores([{"label": label, "score": score} for label, score in ranked], row, labels, tolerance)


def check_tags(answer: Any, row: Row, labels: list[str], tolerance: float) -> None:
    """Each token's best tag, and its score without calibration."""
    scores = apply_function(np.array(row["logits"][0]), "softmax")
    for each in answer:
        found = scores[each["index"]]
        assert each["score"] == pytest.approx(found.max(), abs=tolerance)
        assert found[labels.index(each["entity"])] >= found.max() - tolerance


def check_span(answer: Any, row: Row, labels: list[str], tolerance: float) -> None:
    """The score of transformers.js' best span, by its own rules, of the bundle's logits."""
    ids, logits = np.array(row["input_ids"][0]), np.array(row["logits"][0])
    outside = (np.arange(len(ids)) <= ids.tolist().index(SEP)) | (ids < SPECIAL)
    outside[0] = False  # the first token takes a share, but no answer begins there
    start, end = (apply_function(np.where(outside, -np.inf, logits[:, at]), "softmax") for at in (0, 1))
    start[0] = end[0] = 0
    assert answer["score"] == pytest.approx(np.triu(np.outer(start, end)).max(), abs=tolerance)


SEP, SPECIAL = 3, 5
"""The token id of `tests.tiny`'s [SEP], and how many special tokens are the first."""

COMPARING: dict[str, Callable[[Any, Row, list[str], float], Any]] = {
    "text-classification": check_scores,
    "multi-label-classification": check_many,
    "pairs": check_pairs,
    "token-classification": check_tags,
    "question-answering": check_span,
    "regression": lambda answer, row, *_: np.testing.assert_allclose(answer, row["outputs"][0]["score"], rtol=1e-5),
    "feature-extraction": lambda answer, row, *_: np.testing.assert_allclose(answer, row["outputs"], atol=1e-5),
    **dict.fromkeys(GENERATING_TOYS, lambda answer, row, *_: check_texts(answer, row)),
}


def check_texts(answer: Any, row: Row) -> None:
    """The continuation."""
    assert answer == row["outputs"]


@pytest.mark.parametrize("toy", [*TOYS, *GENERATING_TOYS, "two labels"])
def test_in_node(models: Callable[..., Row], tmp_path: Path, toy: str) -> None:
    """Every task, by the call that the card shows."""
    job = models(toy)
    [answers] = ask_node(tmp_path, [job])
    check(job, tmp_path / job["model"], answers)


def ask_browser(browser: Browser, models: Path, job: Row) -> Any:
    """As `ask_node`, of one job, in a page that asks no other host."""
    with serving_models(models) as url, visiting(browser, url) as visit:
        visit.page.goto(f"{url}/page.html")
        visit.page.wait_for_function("() => window.answersOf")
        answers = visit.page.evaluate("job => window.answersOf(job)", job)
        assert all(asked.startswith((url, "blob:")) for asked in visit.requests)
    return answers


@needs_browser
@pytest.mark.parametrize("toy", [*TOYS, *GENERATING_TOYS, "two labels"])
def test_in_a_browser(models: Callable[..., Row], tmp_path: Path, browser: Browser, toy: str) -> None:
    """The same by WebAssembly in a page, which asks no other host."""
    job = models(toy)
    check(job, tmp_path / job["model"], ask_browser(browser, tmp_path, job))


def test_int8_in_node(models: Callable[..., Row], tmp_path: Path, tiny_fallback_bundle: Path, tiny_run: Run) -> None:
    """``dtype: "q8"`` gives the golden answers of int8."""
    job = models("tiny", tiny_fallback_bundle, tiny_run, "q8")
    [answers] = ask_node(tmp_path, [job])
    check(job, tmp_path / "tiny", answers, 0.02)


@needs_browser
def test_a_browser_takes_fp32_where_nothing_is_asked(
    models: Callable[..., Row], tmp_path: Path, tiny_fallback_bundle: Path, tiny_run: Run, browser: Browser
) -> None:
    """int8, which it would take by default, has other scores there."""
    job = models("tiny", tiny_fallback_bundle, tiny_run) | {"dtype": None}
    shutil.copy(tmp_path / "tiny" / "golden.fp32.jsonl", tmp_path / "tiny" / "golden.jsonl")
    check(job, tmp_path / "tiny", ask_browser(browser, tmp_path, job))


@needs_browser
def test_int8_in_a_browser(tmp_path: Path, tiny_run: Run, browser: Browser) -> None:
    """The folder's int8 has unsigned weights: a browser adds up what a CPU does, one without 8-bit products too."""
    export_hub(tiny_run, tmp_path / "tiny", "int8")
    shutil.copy(tmp_path / "tiny" / "golden.int8.jsonl", tmp_path / "tiny" / "golden.jsonl")
    inputs = [row["inputs"] for row in golden_rows(tmp_path / "tiny")]
    job = {"model": "tiny", "task": "text-classification", "dtype": "q8", "pair": False, "inputs": inputs}
    check(job, tmp_path / "tiny", ask_browser(browser, tmp_path, job), 1e-4)


def test_data_files(models: Callable[..., Row], tmp_path: Path, tiny_split_bundle: Path, tiny_run: Run) -> None:
    """Tensors in files of their own are found by the name in config.json."""
    job = models("tiny", tiny_split_bundle, tiny_run, "q8")
    [answers] = ask_node(tmp_path, [job])
    check(job, tmp_path / "tiny", answers, 0.02)


def test_a_regression_is_never_answered_by_a_softmax(models: Callable[..., Row], tmp_path: Path) -> None:
    """The pipeline that would say 1 of every text fails."""
    job = models("regression") | {"task": "text-classification"}
    [answers] = ask_node(tmp_path, [job])
    assert "error" in answers
