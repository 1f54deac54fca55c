"""The servers that are compared: how each is started, asked and understood."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from bench.load import BestLabel
from bench.process import ROOT
from bench.subject import Subject

QUIET = {"BENTOML_DO_NOT_TRACK": "True", "ORT_DISABLE_TELEMETRY": "1", "PYTHONWARNINGS": "ignore"}
BENTO_OPTIONS = ("--working-dir", str(ROOT), "--host", "127.0.0.1")


class Kind(StrEnum):
    """What a server is to the comparison."""

    ours = "ours"
    torch = "torch"
    onnxruntime = "onnxruntime"
    noop = "noop"


@dataclass(frozen=True)
class System:
    """A server under test.

    Attributes:
        command: the words that start it on a port.
        variant: whose predictor says what its answers must be.
        content: the JSON that asks for one text.
        best_label: takes the best label out of the JSON answered.
        ready: answers 200 once requests may be sent.
        missing: why it cannot be started here, if it cannot.
    """

    name: str
    kind: Kind
    command: Callable[[int], list[str]]
    variant: str
    path: str
    content: Callable[[str], Any]
    best_label: BestLabel
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/readyz"
    missing: str = ""


def tuneship_serve(bundle: Path, port: int) -> list[str]:
    """``tuneship serve BUNDLE --port N``."""
    return [sys.executable, "-m", "tuneship", "serve", str(bundle.absolute()), "--port", str(port)]


def bentoml_serve(service: str, port: int) -> list[str]:
    """``bentoml serve SERVICE --port N``."""
    return [sys.executable, "-m", "bentoml", "serve", service, *BENTO_OPTIONS, "--port", str(port)]


def ours(subject: Subject) -> list[System]:
    """Tuneship's own server and the same app under BentoML, each with both variants."""
    return [
        *(tuneship(subject.bundles[variant], variant) for variant in ("int8", "fp32")),
        *(tuneship_in_bentoml(subject.bundles[variant], variant) for variant in ("int8", "fp32")),
    ]


def tuneship(bundle: Path, variant: str) -> System:
    """``tuneship serve``."""
    return _tuneship(f"tuneship serve, {variant}", variant, lambda port: tuneship_serve(bundle, port), QUIET)


def tuneship_in_bentoml(bundle: Path, variant: str) -> System:
    """``bentoml serve serving.service:Tuneship``."""
    environment = {**QUIET, "TUNESHIP_BUNDLE": str(bundle.absolute())}
    command = partial(bentoml_serve, "serving.service:Tuneship")
    return _tuneship(f"tuneship in BentoML, {variant}", variant, command, environment)


def noop() -> System:
    """A server that does nothing, to see what the load generator itself can do."""
    from bench.noop_server import LABEL

    return System(
        name="no-op server (the load's limit)",
        kind=Kind.noop,
        command=lambda port: [sys.executable, "-m", "bench.noop_server", str(port)],
        variant=LABEL,
        path="/readyz",
        content=lambda text: {"inputs": text},
        best_label=lambda answer: answer[0][0]["label"],
    )


def _tuneship(name: str, variant: str, command: Callable[[int], list[str]], environment: Mapping[str, str]) -> System:
    return System(
        name,
        Kind.ours,
        command,
        variant,
        "/predict",
        lambda text: {"inputs": text},
        lambda answer: answer[0][0]["label"],
        environment,
    )
