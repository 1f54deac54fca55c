"""The peers: what others would serve the same checkpoint with, each started as its own guide says.

All run with one thread on the server's core, batch where they can, up to 32 texts, and are asked for the best label.
Those of BentoML run in the project's own environment, the others in ``.venv-peers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench.load import BestLabel
from bench.peers import setup
from bench.peers.checkpoint import checkpoint
from bench.peers.dynamic_int8 import dynamic_int8
from bench.subject import Subject
from bench.systems import QUIET, Kind, System, bentoml_serve

ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
NO_HUB = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "DO_NOT_TRACK": "1"}


def peers(subject: Subject) -> Iterator[System]:
    """Every peer; those that are not installed say so."""
    bento = partial(_bentoml, best_label=lambda answer: answer[0]["label"])
    yield bento("transformers", {"BENCH_CHECKPOINT": str(subject.run.checkpoint.absolute())})
    yield bento("onnxruntime", {"BENCH_MODEL": str(dynamic_int8(subject))})
    folder = str(checkpoint(subject))
    app = ["-m", "uvicorn", "bench.peers.fastapi_pipeline:app", "--no-access-log", "--log-level", "warning", "--port"]
    yield _elsewhere("FastAPI + pipeline", folder, lambda port: [*app, str(port)], best_label=_first)
    litserve = ["-m", "bench.peers.litserve_transformers"]
    yield _elsewhere("LitServe", folder, lambda port: [*litserve, str(port)], best_label=lambda answer: answer["label"])
    yield _infinity(folder)


def _first(answer: Any) -> str:
    return str(answer[0]["label"])


def _bentoml(library: str, environment: dict[str, str], best_label: BestLabel) -> System:
    int8 = library == "onnxruntime"
    return System(
        name=f"BentoML + {library}, int8" if int8 else f"BentoML + {library}",
        kind=Kind.onnxruntime if int8 else Kind.torch,
        command=partial(bentoml_serve, f"bench.peers.bentoml_{library}:Classifier"),
        variant="fp32",
        path="/classify",
        content=lambda text: {"texts": [text]},
        best_label=best_label,
        environment={**QUIET, **ONE_THREAD, **environment},
    )


def _infinity(folder: str) -> System:
    words = ["-m", "infinity_emb.cli", "v2", "--model-id", folder, "--served-model-name", "model", "--engine", "torch"]
    words += ["--device", "cpu", "--batch-size", "32", "--no-bettertransformer", "--log-level", "warning"]
    return _elsewhere(
        "Infinity",
        folder,
        lambda port: [*words, "--host", "127.0.0.1", "--port", str(port)],
        path="/classify",
        content=lambda text: {"input": [text], "model": "model"},
        best_label=lambda answer: str(max(answer["data"][0], key=lambda each: each["score"])["label"]),
    )


def _elsewhere(
    name: str,
    folder: str,
    words: Callable[[int], list[str]],
    *,
    best_label: BestLabel,
    path: str = "/predict",
    content: Callable[[str], Any] = lambda text: {"inputs": text},
) -> System:
    return System(
        name=name,
        kind=Kind.torch,
        command=lambda port: [str(setup.PYTHON), *words(port)],
        variant="fp32",
        path=path,
        content=content,
        best_label=best_label,
        environment={**QUIET, **ONE_THREAD, **NO_HUB, "BENCH_CHECKPOINT": folder},
        ready=_READY.get(name, "/readyz"),
        missing=setup.missing(),
    )


_READY = {"LitServe": "/health", "Infinity": "/health"}
