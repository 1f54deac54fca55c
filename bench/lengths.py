"""Shuffled texts of 5 to 400 tokens: batches by length, and batches of 32 in the order of arrival."""

from __future__ import annotations

import math
import random
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from tokenizers import Tokenizer

from bench.comparison import count_errors, ratios
from bench.cores import Cores
from bench.figures import Figure, ServerFigures, median_of
from bench.subject import WORK, Subject
from bench.systems import Kind, System, tuneship_system
from bench.throughput import LoadPlan, measure_round
from serving.bundle.bundle import Bundle
from serving.bundle.manifest import MANIFEST, SIGNATURE
from serving.inference.predictor import Predictor

SHORTEST, LONGEST = 5, 400
TEXTS = 320
"""Each round sends this many, not for a fixed time: a fixed batch of long texts takes seconds."""


def measure_lengths(
    subject: Subject, plan: LoadPlan, logs: Path, console: Console
) -> tuple[list[Figure], list[ServerFigures]]:
    cores, plan = Cores.choose(), replace(plan, seconds=math.inf, requests=TEXTS)
    figures, rows = list[Figure](), list[ServerFigures]()
    for variant in ("int8", "fp32"):
        with console.status(f"lengths, {variant}: making the texts…"):
            bundle = lengthen_bundle(subject.bundles[variant], LONGEST, WORK / "longer" / variant)
            pairs = _label_texts(bundle, subject.texts, plan.seed)
        own = tuneship_system(bundle, variant)
        systems = [replace(own, name=f"{own.name}, mixed lengths"), _fixed_batches_system(bundle, variant)]
        mine, other = (ServerFigures(system.name) for system in systems)
        for number in range(1, plan.rounds + 1):
            for system, row in zip(systems, (mine, other), strict=True):
                with console.status(f"lengths, round {number} of {plan.rounds}: {system.name}…"):
                    measure_round(system, pairs, plan, cores, logs, row)
        figures.append(median_of(f"{mine.name} ÷ {other.name}", ratios(mine.rate, other.rate), "×"))
        figures.append(count_errors(f"{mine.name}: wrong or missing", [mine]))
        rows += [mine, other]
    return figures, rows


def lengthen_bundle(source: Path, max_length: int, target: Path) -> Path:
    """A copy that truncates at ``max_length`` tokens; for speed only, as no proof covers it."""
    manifest = Bundle.open(source).manifest
    spec = manifest.tokenizer.model_copy(update={"max_length": max_length})
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(SIGNATURE))
    changed = manifest.model_copy(update={"tokenizer": spec}).seal()
    (target / MANIFEST).write_bytes(changed.to_bytes())
    return target.absolute()


def _fixed_batches_system(bundle: Path, variant: str) -> System:
    return System(
        name=f"fixed batches of 32, {variant}",
        kind=Kind.onnxruntime,
        command=lambda port: [sys.executable, "-m", "bench.peers.fixed_batches", str(bundle), str(port)],
        variant=variant,
        path="/",
        best_label=lambda answer: str(answer[0]["label"]),
    )


def _label_texts(bundle: Path, queries: Sequence[str], seed: int) -> list[tuple[str, str]]:
    predictor = Predictor.open(bundle)
    tokenizer = Tokenizer.from_buffer(Bundle.open(bundle).read("tokenizer.json"))
    texts = mix_lengths(tokenizer, queries, TEXTS, seed)
    return [(text, answer[0]["label"]) for text, answer in zip(texts, predictor.predict(texts), strict=True)]


def mix_lengths(tokenizer: Tokenizer, queries: Sequence[str], count: int, seed: int) -> list[str]:
    """Texts joined from queries, with lengths spread evenly, shuffled."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    generator = random.Random(seed)
    lengths = [SHORTEST + (LONGEST - SHORTEST) * number // (count - 1) for number in range(count)]
    generator.shuffle(lengths)
    special = len(tokenizer.encode("").ids)
    texts = []
    for length in lengths:
        text = " ".join(generator.choices(queries, k=LONGEST // 3))
        encoding = tokenizer.encode(text, add_special_tokens=False)
        texts.append(text[: encoding.offsets[length - special - 1][1]])
    return texts
