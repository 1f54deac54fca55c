"""The servers that are compared."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from bench.subject import Subject
from deploy.measurement.load import BestLabel
from deploy.measurement.process import ROOT

QUIET = {"BENTOML_DO_NOT_TRACK": "True", "ORT_DISABLE_TELEMETRY": "1", "PYTHONWARNINGS": "ignore"}
BENTO_OPTIONS = ("--working-dir", str(ROOT), "--host", "127.0.0.1")


class Kind(StrEnum):
    ours = "ours"
    torch = "torch"
    onnxruntime = "onnxruntime"
    noop = "noop"


def _hugging_face_request(text: str) -> Any:
    return {"inputs": text}


def _hugging_face_label(answer: Any) -> str:
    label: str = answer[0][0]["label"]
    return label


@dataclass(frozen=True)
class System:
    """``content`` builds a request's JSON, ``best_label`` reads an answer's, ``ready`` answers 200 when it is ready.

    ``variant``'s predictor gives the right answers; ``missing`` says why it cannot be started here.
    """

    name: str
    kind: Kind
    command: Callable[[int], list[str]]
    variant: str
    path: str = "/predict"
    content: Callable[[str], Any] = _hugging_face_request
    best_label: BestLabel = _hugging_face_label
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/readyz"
    missing: str = ""


def tuneship_serve(bundle: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "tuneship", "serve", str(bundle.absolute()), "--port", str(port)]


def bentoml_serve(service: str, port: int) -> list[str]:
    return [sys.executable, "-m", "bentoml", "serve", service, *BENTO_OPTIONS, "--port", str(port)]


def own_systems(subject: Subject) -> list[System]:
    """Tuneship's server, and the same app under BentoML."""
    return [
        make(subject.bundles[variant], variant)
        for make in (tuneship_system, tuneship_in_bentoml_system)
        for variant in ("int8", "fp32")
    ]


def tuneship_system(bundle: Path, variant: str) -> System:
    command = partial(tuneship_serve, bundle)
    return System(f"tuneship serve, {variant}", Kind.ours, command, variant, environment=QUIET)


def tuneship_in_bentoml_system(bundle: Path, variant: str) -> System:
    environment = {**QUIET, "TUNESHIP_BUNDLE": str(bundle.absolute())}
    command = partial(bentoml_serve, "serving.service:Tuneship")
    return System(f"tuneship in BentoML, {variant}", Kind.ours, command, variant, environment=environment)


def noop_system() -> System:
    """Measures the load generator."""
    from bench.noop_server import LABEL

    return System(
        name="no-op server (the generator's limit)",
        kind=Kind.noop,
        command=lambda port: [sys.executable, "-m", "bench.noop_server", str(port)],
        variant=LABEL,
        path="/readyz",
    )
