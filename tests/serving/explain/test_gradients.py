"""Explanations by the served graph against integrated gradients of the torch model they come from.

Integrated gradients (Sundararajan, Taly and Yan 2017) are an independent road to the same question: the logit's
gradient by the word vectors, integrated along the straight line from the hidden text to the text itself. They see
inside the model; occlusion and Shapley values here ask the ONNX graph and nothing else.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from serving.explain.attribution import EMPTY
from serving.explain.explainer import Explainer
from serving.explain.parameters import ExplainParameters
from serving.inference.predictor import Predictor
from tests.paths import ROOT
from tests.tiny import toy_rows

if TYPE_CHECKING:
    from trainer.model.checkpoint import Checkpoint
    from trainer.run.run import Run

STEPS = 128
TEXTS = [text for text, _ in toy_rows()[::5]]


def integrated_gradients(checkpoint: Checkpoint, ids: list[int], hidden: list[int], label: int) -> tuple[Any, float]:
    """Each token's share [tokens] of one logit, and how far their sum is from what it should be, as a part of it."""
    import torch

    embed = checkpoint.model.backbone.get_input_embeddings()
    start, end = embed(torch.tensor([hidden])).detach(), embed(torch.tensor([ids])).detach()
    steps = ((torch.arange(STEPS) + 0.5) / STEPS)[:, None, None]  # the midpoint rule
    path = (start + steps * (end - start)).requires_grad_(True)
    (gradients,) = torch.autograd.grad(_logit(checkpoint, path, label).sum(), path)
    shares = ((end - start)[0] * gradients.mean(dim=0)).sum(dim=-1)
    with torch.no_grad():
        gain = float(_logit(checkpoint, end, label) - _logit(checkpoint, start, label))
    return shares.numpy(), abs(float(shares.sum()) - gain) / max(abs(gain), 1e-6)


def _logit(checkpoint: Checkpoint, vectors: Any, label: int) -> Any:
    """The model's logit for each row of word vectors [rows, tokens, width], in the place of token ids."""
    import torch

    embed = checkpoint.model.backbone.get_input_embeddings()
    handle = embed.register_forward_hook(lambda *_: vectors)
    try:
        ones = torch.ones(vectors.shape[:2], dtype=torch.long)
        return checkpoint.model(input_ids=ones, attention_mask=ones)["logits"][:, label]
    finally:
        handle.remove()


def compared(
    checkpoint: Checkpoint, predictor: Predictor, text: str, options: ExplainParameters
) -> tuple[Any, Any, float]:
    """A text's scores by explanation and by gradients, word by word, and the gradients' gap."""
    explainer = Explainer(predictor)
    (encoded,) = predictor.encode([text], options)
    plan = explainer.plan(encoded, predictor.run(encoded.windows), options)
    answer = plan.explanation(predictor.run(plan.rows))
    label = predictor.task.labels.index(answer["target"]["label"])
    shares, gap = integrated_gradients(checkpoint, encoded.windows[0].ids, plan.rows[EMPTY].ids, label)
    by_word = [sum(float(shares[row]) for unit in player for row in unit.rows) for player in plan.players]
    return np.array([token["score"] for token in answer["tokens"]]), np.array(by_word), gap


def agreement(run: Run, predictor: Predictor, texts: Sequence[str], options: ExplainParameters) -> tuple[float, float]:
    """The mean rank correlation of words, and how often both name the same word first; the gradients are complete."""
    from trainer.model.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(run.checkpoint, "eager")
    found = [compared(checkpoint, predictor, text, options) for text in texts]
    assert max(gap for *_, gap in found) < 0.01
    ranks = [spearmanr(ours, theirs).statistic for ours, theirs, _ in found]
    return float(np.mean(ranks)), float(np.mean([ours.argmax() == theirs.argmax() for ours, theirs, _ in found]))


@pytest.mark.slow
@pytest.mark.parametrize(("method", "correlation"), [("occlusion", 0.75), ("shap", 0.85)])
def test_words_rank_as_by_integrated_gradients(
    tiny_run: Run, predictor: Predictor, method: Any, correlation: float
) -> None:
    """On the toy, words rank as by integrated gradients, and the word that decides is the same."""
    ranks, first = agreement(tiny_run, predictor, TEXTS, ExplainParameters(method=method))
    assert ranks > correlation
    assert first >= 0.8


@pytest.fixture(scope="module")
def quickstart(quickstart_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """The served bundle of the quickstart's run."""
    from export.exporter import export_run

    return Predictor.open(export_run(quickstart_run, tmp_path_factory.mktemp("quickstart") / "bundle", "fp32").bundle)


@pytest.mark.slow(first=True)
@pytest.mark.xdist_group("quickstart")
@pytest.mark.parametrize(("method", "correlation"), [("occlusion", 0.35), ("shap", 0.6)])
def test_a_real_model(quickstart_run: Run, quickstart: Predictor, method: Any, correlation: float) -> None:
    """The same on MiniLM fine-tuned on the quickstart's messages."""
    with (ROOT / "recipes" / "quickstart" / "messages.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)][::40]
    ranks, first = agreement(quickstart_run, quickstart, texts, ExplainParameters(method=method))
    print(f"{method}: mean rank correlation {ranks:.3f}, same first word {first:.2f} ({len(texts)} texts)")
    assert ranks > correlation
    assert first > 0.5
