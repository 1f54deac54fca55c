"""How pipelines of others answer otherwise than the bundle: a sentence or two each, for README and terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from export.graphs.encoder import can_be_pooled_elsewhere
from serving.bundle.manifest import Manifest
from serving.tasks.base import Task
from serving.tasks.generation import Text2TextGeneration
from trainer.model.checkpoint import ModelSpec

MOST_NAMED = 20
"""Labels, in one sentence; all of them are in config.json."""


def find_notes(manifest: Manifest, task: Task, spec: ModelSpec, left_out: str) -> list[str]:
    """``left_out``: why there is no int8, if it was tried."""
    settings, longest = task.settings.model_dump(), manifest.tokenizer.max_length
    notes = [*NOTES[task.name](settings, task)] if task.name in NOTES else []
    if spec.head == "vector" and not can_be_pooled_elsewhere(spec):
        notes.append(
            "Vectors are not what transformers.js could pool of the tokens': read the output sentence_embedding."
        )
    if kinds := settings.get("redact"):
        notes.append(
            f"The bundle replaces personal data ({', '.join(kinds)}) by [EMAIL] and the like before it reads a text;"
            " pipelines do not. Redact what you send them."
        )
    if task.is_pair:
        notes.append("Inputs are pairs of texts, which pipelines of transformers.js do not take: call the model.")
    if task.uses_windows:
        notes.append(
            f"A text of more than {longest} tokens is read in windows by the bundle, and cut off by pipelines."
        )
    elif task.is_pair:
        notes.append(
            f"transformers.js cuts a pair of more than {longest} tokens off at its end, the bundle the longer text."
        )
    if any(each.graph.depends_on for each in manifest.fallbacks):
        notes.append(
            f"model_quantized.onnx was proven on {manifest.proven_on['cpu']}. Browsers, and processors without the same"
            " 8-bit arithmetic, compute other scores: compare golden.int8.jsonl there. Where no dtype is asked,"
            " transformers.js takes fp32."
        )
    elif manifest.fallbacks:
        notes.append("Where no dtype is asked, transformers.js takes fp32, also in a browser: ask for q8.")
    return [*notes, *([f"There is no model_quantized.onnx: {left_out}"] if left_out else [])]


def _of_classes(settings: dict[str, Any], task: Task) -> Iterator[str]:
    if settings["threshold"] is not None:
        yield (
            f"{task.labels[1]!r} is answered from a score of {settings['threshold']:.4g} on. Where the larger score is"
            " the other label's, both scores are written as 0.5, that of the answered label a trace above."
        )


def _of_many(settings: dict[str, Any], task: Task) -> Iterator[str]:
    thresholds = settings["thresholds"] or [0.5] * len(task.labels)
    named = dict(zip(task.labels, thresholds, strict=True))
    listed = ", ".join(f"{label!r} {value:.4g}" for label, value in [*named.items()][:MOST_NAMED])
    more = " … (the rest is in config.json, under tuneship)" if len(named) > MOST_NAMED else ""
    yield (
        "Pipelines return scores and decide nothing. Ask for all (top_k: null); the bundle answers a label from this"
        f" score on: {listed}{more}."
    )


def _of_numbers(settings: dict[str, Any], task: Task) -> Iterator[str]:
    yield (
        "logits has one axis, [rows]: the text-classification pipeline of transformers.js knows no regression and would"
        " answer 1 to every text, and fails with this shape instead. Call the model."
    )
    if settings["radius"] is not None:
        yield f"The bundle also answers an interval: {settings['radius']:.4g} below and above the number."


def _of_tags(settings: dict[str, Any], task: Task) -> Iterator[str]:
    yield (
        "Pipelines decide each token for itself; the bundle decides whole words, and only sequences that BIO tags"
        " allow. Entities may differ."
    )
    if (settings["scale"], settings["bias"]) != (1.0, 0.0):
        yield (
            "The bundle's scores are calibrated: the sigmoid of"
            f" {settings['scale']:.4g} times the log odds plus {settings['bias']:.4g} of what pipelines return."
        )


def _of_answers(settings: dict[str, Any], task: Task) -> Iterator[str]:
    yield (
        "transformers.js joins the answer's tokens, so that it may be spelled otherwise than in the context, and its"
        f" score is another one. The bundle's answers have at most {settings['max_answer_len']} tokens."
    )
    if settings["no_answer_threshold"] is not None:
        yield (
            "The bundle answers nothing where the first token's start plus end logit is above the best span's by"
            f" {settings['no_answer_threshold']:.4g}; transformers.js' pipeline always answers a span."
        )


def _of_texts(settings: dict[str, Any], task: Task) -> Iterator[str]:
    if task.name != Text2TextGeneration.name:
        yield "A long prompt loses its beginning in the bundle, and its end in transformers.js."
    if settings["prefix"]:
        yield f"Put {settings['prefix']!r} before every text, as the bundle does."


NOTES: dict[str, Callable[[dict[str, Any], Task], Iterator[str]]] = {
    "text-classification": _of_classes,
    "multi-label-classification": _of_many,
    "regression": _of_numbers,
    "token-classification": _of_tags,
    "question-answering": _of_answers,
    "text-generation": _of_texts,
    "text2text-generation": _of_texts,
}
