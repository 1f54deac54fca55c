"""What OpenAI's shapes have in common: models are named in the body, and listed.

Format: https://platform.openai.com/docs/api-reference/models.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from serving.bundle.manifest import Manifest


def speaks_openai(path: str) -> bool:
    """Whether callers of a path read errors in OpenAI's shape."""
    return "/v1/" in path


def requested_model(body: bytes) -> str:
    """The ``model`` that a body asks for; empty where it names none, or cannot be read, which its parser will tell."""
    try:
        name = json.loads(body)["model"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


def model_object(name: str, manifest: Manifest) -> dict[str, Any]:
    """A model as OpenAI's clients read it; ``created`` in seconds since 1970."""
    created = int(datetime.fromisoformat(manifest.created).timestamp())
    return {"id": name, "object": "model", "created": created, "owned_by": "tuneship"}
