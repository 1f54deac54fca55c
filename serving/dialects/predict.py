"""``/predict`` and ``/``: the inference API's shape, and text-embeddings-inference's where a body can only be that."""

from __future__ import annotations

from typing import Any

from serving import request as inference_api
from serving.dialects import tei
from serving.request import Check, Reply, Request, load_json, parse_content
from serving.tasks.base import Task


def parse(body: bytes, task: Task, check: Check) -> Request:
    """The request of a body in either shape; raises InputError."""
    content = load_json(body, task)
    return (tei.parse if tei.meant(content, task) else parse_content)(content, task, check)


def render(task: Task, request: Request, reply: Reply) -> Any:
    """The answers in the shape that was asked in."""
    return (tei if isinstance(request.wish, tei.Body) else inference_api).render(task, request, reply)
