"""The peers: what others would serve the same checkpoint with, each started as its own guide says.

All run with one thread on the server's core, batch where they can, up to 32 texts, and are asked for the best label.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.peers.dynamic_int8 import dynamic_int8
from bench.subject import Subject
from bench.systems import QUIET, Kind, System, bentoml_serve


def peers(subject: Subject) -> Iterator[System]:
    """Every peer."""
    yield _bentoml_transformers(subject)
    yield _bentoml_onnxruntime(subject)


def _bentoml_transformers(subject: Subject) -> System:
    return System(
        name="BentoML + transformers",
        kind=Kind.torch,
        command=lambda port: bentoml_serve("bench.peers.bentoml_transformers:Classifier", port),
        variant="fp32",
        path="/classify",
        content=lambda text: {"texts": [text]},
        best_label=lambda answer: answer[0]["label"],
        environment={**QUIET, "BENCH_CHECKPOINT": str(subject.run.checkpoint.absolute())},
    )


def _bentoml_onnxruntime(subject: Subject) -> System:
    return System(
        name="BentoML + onnxruntime, int8",
        kind=Kind.onnxruntime,
        command=lambda port: bentoml_serve("bench.peers.bentoml_onnxruntime:Classifier", port),
        variant="fp32",
        path="/classify",
        content=lambda text: {"texts": [text]},
        best_label=lambda answer: answer[0]["label"],
        environment={**QUIET, "BENCH_MODEL": str(dynamic_int8(subject))},
    )
