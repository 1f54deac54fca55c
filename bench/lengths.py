"""Texts of 5 to 400 tokens, shuffled: our batches of like length beside batches of 32 in the order of arrival."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from tokenizers import Tokenizer

from bench.comparison import ratios
from bench.cores import Cores
from bench.figures import Asked, Figure, ServerFigures, median_of
from bench.longer import longer
from bench.subject import WORK, Subject
from bench.systems import Kind, System, tuneship
from bench.throughput import Plan, measure_round
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor

SHORTEST, LONGEST = 5, 400
TEXTS = 320
"""A round asks each once: timed rounds would count whole batches of the fixed size, which take seconds."""
ASKED_RATIO = Asked("≥", 2.0)
ASKED_ERRORS = Asked("≤", 0.0)


def measure_lengths(
    subject: Subject, plan: Plan, logs: Path, console: Console
) -> tuple[list[Figure], list[ServerFigures]]:
    """Both serve the same graph with the same session, and are asked the same texts, in rounds that take turns."""
    cores, plan = Cores.choose(), replace(plan, seconds=math.inf, requests=TEXTS)
    figures, rows = list[Figure](), list[ServerFigures]()
    for variant in ("int8", "fp32"):
        with console.status(f"lengths, {variant}: making the texts…"):
            bundle = longer(subject.bundles[variant], LONGEST, WORK / "longer" / variant)
            pairs = _pairs(bundle, subject.texts, plan.seed)
        systems = [_mixed(tuneship(bundle, variant)), _fixed(bundle, variant)]
        found = [ServerFigures(system.name) for system in systems]
        for number in range(1, plan.rounds + 1):
            for system, row in zip(systems, found, strict=True):
                with console.status(f"lengths, round {number} of {plan.rounds}: {system.name}…"):
                    measure_round(system, pairs, plan, cores, logs, row)
        figures += _figures(*found)
        rows += found
    return figures, rows


def _figures(mine: ServerFigures, other: ServerFigures) -> list[Figure]:
    note = "; ".join(f"{row.name}: {row.errors}" for row in (mine, other) if row.errors)
    return [
        median_of(f"{mine.name} ÷ {other.name}", ratios(mine.rate, other.rate), "×", ASKED_RATIO),
        Figure(f"{mine.name}: wrong or missing", float(sum(mine.errors.values())), "", ASKED_ERRORS, note=note),
    ]


def _mixed(system: System) -> System:
    return replace(system, name=f"{system.name}, mixed lengths")


def _fixed(bundle: Path, variant: str) -> System:
    return System(
        name=f"fixed batches of 32, {variant}",
        kind=Kind.onnxruntime,
        command=lambda port: [sys.executable, "-m", "bench.peers.fixed_batches", str(bundle), str(port)],
        variant=variant,
        path="/",
        content=lambda text: {"inputs": text},
        best_label=lambda answer: str(answer[0]["label"]),
    )


def _pairs(bundle: Path, queries: Sequence[str], seed: int) -> list[tuple[str, str]]:
    predictor = Predictor.open(bundle)
    texts = mixed(Tokenizer.from_buffer(Bundle.open(bundle).read("tokenizer.json")), queries, TEXTS, seed)
    return [(text, answer[0]["label"]) for text, answer in zip(texts, predictor.predict(texts), strict=True)]


def mixed(tokenizer: Tokenizer, queries: Sequence[str], count: int, seed: int) -> list[str]:
    """Texts made of queries one behind the other, cut where they have the tokens wanted.

    Lengths, special tokens included, are spread evenly from SHORTEST to LONGEST, and shuffled.
    """
    tokenizer.no_truncation()
    tokenizer.no_padding()
    chance = random.Random(seed)
    lengths = [SHORTEST + (LONGEST - SHORTEST) * number // (count - 1) for number in range(count)]
    chance.shuffle(lengths)
    special = len(tokenizer.encode("").ids)
    texts = []
    for length in lengths:
        text = " ".join(chance.choices(queries, k=LONGEST // 3))
        encoding = tokenizer.encode(text, add_special_tokens=False)
        texts.append(text[: encoding.offsets[length - special - 1][1]])
    return texts
