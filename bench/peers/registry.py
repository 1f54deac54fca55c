"""The peers: other servers of the same checkpoint, with one thread and batches of up to 32 texts.

Those of BentoML run in the project's environment, the others in ``.venv-peers``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.peers import setup
from bench.peers.checkpoint import export_checkpoint
from bench.peers.dynamic_int8 import quantize_to_int8
from bench.subject import Subject
from bench.systems import QUIET, Kind, System, bentoml_serve

ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
NO_HUB = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "DO_NOT_TRACK": "1"}
INFINITY = [
    "-m", "infinity_emb.cli", "v2", "--served-model-name", "model", "--engine", "torch", "--device", "cpu",
    "--batch-size", "32", "--no-bettertransformer", "--log-level", "warning", "--host", "127.0.0.1",
]  # fmt: skip


def peers(subject: Subject) -> Iterator[System]:
    checkpoint = {"BENCH_CHECKPOINT": str(subject.run.checkpoint.absolute())}
    yield _bentoml("BentoML + transformers", Kind.torch, "bentoml_transformers", checkpoint)
    model = {"BENCH_MODEL": str(quantize_to_int8(subject))}
    yield _bentoml("BentoML + onnxruntime, int8", Kind.onnxruntime, "bentoml_onnxruntime", model)
    folder = str(export_checkpoint(subject))
    app = ["-m", "uvicorn", "bench.peers.fastapi_pipeline:app", "--no-access-log", "--log-level", "warning", "--port"]
    yield _torch_system("FastAPI + pipeline", folder, app, best_label=lambda answer: str(answer[0]["label"]))
    litserve = ["-m", "bench.peers.litserve_transformers"]
    yield _torch_system("LitServe", folder, litserve, best_label=lambda answer: str(answer["label"]), ready="/health")
    yield _torch_system(
        "Infinity",
        folder,
        [*INFINITY, "--model-id", folder, "--port"],
        path="/classify",
        content=lambda text: {"input": [text], "model": "model"},
        best_label=lambda answer: str(max(answer["data"][0], key=lambda each: each["score"])["label"]),
        ready="/health",
    )


def _bentoml(name: str, kind: Kind, module: str, environment: dict[str, str]) -> System:
    return System(
        name=name,
        kind=kind,
        command=partial(bentoml_serve, f"bench.peers.{module}:Classifier"),
        variant="fp32",
        path="/classify",
        content=lambda text: {"texts": [text]},
        best_label=lambda answer: str(answer[0]["label"]),
        environment={**QUIET, **ONE_THREAD, **environment},
    )


def _torch_system(name: str, folder: str, arguments: list[str], **details: Any) -> System:
    """A system whose arguments are followed by its port."""
    return System(
        name=name,
        kind=Kind.torch,
        command=lambda port: [str(setup.PYTHON), *arguments, str(port)],
        variant="fp32",
        environment={**QUIET, **ONE_THREAD, **NO_HUB, "BENCH_CHECKPOINT": folder},
        missing=setup.missing(),
        **details,
    )
