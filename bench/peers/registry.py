"""The peers: other servers of the same checkpoint, with one thread and batches of up to 32 texts.

Those of BentoML run in the project's environment, the others in ``.venv-peers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench.load import BestLabel
from bench.peers import setup
from bench.peers.checkpoint import export_checkpoint
from bench.peers.dynamic_int8 import quantize_to_int8
from bench.subject import Subject
from bench.systems import QUIET, Kind, System, bentoml_serve

ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
READY_PATHS = {"LitServe": "/health", "Infinity": "/health"}
NO_HUB = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "DO_NOT_TRACK": "1"}


def peers(subject: Subject) -> Iterator[System]:
    bento = partial(_bentoml, best_label=lambda answer: answer[0]["label"])
    yield bento("transformers", {"BENCH_CHECKPOINT": str(subject.run.checkpoint.absolute())})
    yield bento("onnxruntime", {"BENCH_MODEL": str(quantize_to_int8(subject))})
    folder = str(export_checkpoint(subject))
    app = ["-m", "uvicorn", "bench.peers.fastapi_pipeline:app", "--no-access-log", "--log-level", "warning", "--port"]
    yield _torch_system("FastAPI + pipeline", folder, lambda port: [*app, str(port)], best_label=_first)
    litserve = ["-m", "bench.peers.litserve_transformers"]
    yield _torch_system(
        "LitServe", folder, lambda port: [*litserve, str(port)], best_label=lambda answer: answer["label"]
    )
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
    arguments = [
        "-m",
        "infinity_emb.cli",
        "v2",
        "--model-id",
        folder,
        "--served-model-name",
        "model",
        "--engine",
        "torch",
    ]
    arguments += ["--device", "cpu", "--batch-size", "32", "--no-bettertransformer", "--log-level", "warning"]
    return _torch_system(
        "Infinity",
        folder,
        lambda port: [*arguments, "--host", "127.0.0.1", "--port", str(port)],
        path="/classify",
        content=lambda text: {"input": [text], "model": "model"},
        best_label=lambda answer: str(max(answer["data"][0], key=lambda each: each["score"])["label"]),
    )


def _torch_system(
    name: str,
    folder: str,
    arguments: Callable[[int], list[str]],
    *,
    best_label: BestLabel,
    path: str = "/predict",
    content: Callable[[str], Any] = lambda text: {"inputs": text},
) -> System:
    return System(
        name=name,
        kind=Kind.torch,
        command=lambda port: [str(setup.PYTHON), *arguments(port)],
        variant="fp32",
        path=path,
        content=content,
        best_label=best_label,
        environment={**QUIET, **ONE_THREAD, **NO_HUB, "BENCH_CHECKPOINT": folder},
        ready=READY_PATHS.get(name, "/readyz"),
        missing=setup.missing(),
    )
