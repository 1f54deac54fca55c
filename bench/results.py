"""The results file: every figure with its samples, the machine and the versions."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figures import Figure, ServerFigures
from serving.bundle.cpu import describe_machine

PACKAGES = ("tuneship", "onnxruntime", "tokenizers", "bentoml", "torch", "transformers", "uvicorn", "uvloop")


def write_results(
    path: Path, figures: Sequence[Figure], servers: Sequence[ServerFigures], about: dict[str, Any]
) -> None:
    content = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "about": about,
        "machine": {**describe_machine(), "cpus": len(os.sched_getaffinity(0))},
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "figures": [figure.to_json() for figure in figures],
        "servers": [asdict(server) for server in servers],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
