"""OpenAI's model objects: https://platform.openai.com/docs/api-reference/models."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from serving.bundle.manifest import Manifest
from serving.protocols.json_body import MAX_VALUES, count_values

PREDICT = ":predict"
"""Ends TensorFlow Serving's and KServe's paths, which are under /v1 too."""


def speaks_openai(path: str) -> bool:
    """Whether errors at this path have OpenAI's format."""
    return "/v1/" in path and not path.endswith(PREDICT)


def requested_model(body: bytes) -> str:
    """The body's ``model``; empty if missing or malformed, which the parser reports."""
    try:
        name = json.loads(body)["model"] if count_values(body, MAX_VALUES) <= MAX_VALUES else ""
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


def model_object(name: str, manifest: Manifest) -> dict[str, Any]:
    """``created`` is in seconds since 1970."""
    created = int(datetime.fromisoformat(manifest.created).timestamp())
    return {"id": name, "object": "model", "created": created, "owned_by": "tuneship"}
