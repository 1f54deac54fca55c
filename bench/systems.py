"""The servers that are compared: how each is started, asked and understood."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.load import BestLabel
from bench.process import ROOT
from bench.subject import Subject

QUIET = {"BENTOML_DO_NOT_TRACK": "True", "ORT_DISABLE_TELEMETRY": "1", "PYTHONWARNINGS": "ignore"}
BENTO_OPTIONS = ("--working-dir", str(ROOT), "--host", "127.0.0.1")


@dataclass(frozen=True)
class System:
    """A server under test.

    Attributes:
        command: the words that start it on a port.
        variant: whose predictor says what its answers must be.
        content: the JSON that asks for one text.
        best_label: takes the best label out of the JSON answered.
    """

    name: str
    command: Callable[[int], list[str]]
    variant: str
    path: str
    content: Callable[[str], Any]
    best_label: BestLabel
    environment: Mapping[str, str] = field(default_factory=dict)


def tuneship_serve(bundle: Path, port: int) -> list[str]:
    """``tuneship serve BUNDLE --port N``."""
    return [sys.executable, "-m", "tuneship", "serve", str(bundle.absolute()), "--port", str(port)]


def bentoml_serve(service: str, port: int) -> list[str]:
    """``bentoml serve SERVICE --port N``."""
    return [sys.executable, "-m", "bentoml", "serve", service, *BENTO_OPTIONS, "--port", str(port)]


def ours(subject: Subject) -> list[System]:
    """Tuneship's own server with both variants, and the int8 bundle under BentoML."""
    bento = {**QUIET, "TUNESHIP_BUNDLE": str(subject.bundles["int8"].absolute())}
    return [
        _tuneship("tuneship serve, int8", "int8", lambda port: tuneship_serve(subject.bundles["int8"], port), QUIET),
        _tuneship("tuneship serve, fp32", "fp32", lambda port: tuneship_serve(subject.bundles["fp32"], port), QUIET),
        _tuneship(
            "tuneship in BentoML, int8",
            "int8",
            lambda port: bentoml_serve("serving.service:Tuneship", port),
            bento,
        ),
    ]


def peer(subject: Subject) -> System:
    """BentoML + transformers on the same checkpoint."""
    return System(
        name="BentoML + transformers",
        command=lambda port: bentoml_serve("bench.peers.bentoml_transformers:Classifier", port),
        variant="fp32",
        path="/classify",
        content=lambda text: {"texts": [text]},
        best_label=lambda answer: answer[0]["label"],
        environment={**QUIET, "BENCH_CHECKPOINT": str(subject.run.checkpoint.absolute())},
    )


def noop() -> System:
    """A server that does nothing, to see what the load generator itself can do."""
    from bench.noop_server import LABEL

    return System(
        name="no-op server (ceiling)",
        command=lambda port: [sys.executable, "-m", "bench.noop_server", str(port)],
        variant=LABEL,
        path="/readyz",
        content=lambda text: {"inputs": text},
        best_label=lambda answer: answer[0][0]["label"],
    )


def _tuneship(name: str, variant: str, command: Callable[[int], list[str]], environment: Mapping[str, str]) -> System:
    return System(
        name,
        command,
        variant,
        "/predict",
        lambda text: {"inputs": text},
        lambda answer: answer[0][0]["label"],
        environment,
    )
