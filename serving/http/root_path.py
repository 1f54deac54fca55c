"""A path prefix, such as ``/support``, that a load balancer routes by.

Some balancers leave it in the path, others strip it and tell it in ``X-Forwarded-Prefix``. The operator's is stripped
here; the header, which anybody can send, changes nothing but the address in the OpenAPI document.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

from serving.settings.settings import ROOT_PATH

FORWARDED_PREFIX = "X-Forwarded-Prefix"


def strip_root_path(scope: Scope, root_path: str) -> None:
    """Paths without it stay as they are, so that probes which ask past the balancer need not know it."""
    path: str = scope["path"]
    if root_path and (path == root_path or path.startswith(f"{root_path}/")):
        scope["path"] = path[len(root_path) :] or "/"


def public_prefix(headers: Headers, root_path: str) -> str:
    """What callers put before a path; empty if nothing. Of several balancers, the outermost comes first."""
    forwarded = ",".join(headers.getlist(FORWARDED_PREFIX))
    told = "".join(part.strip().rstrip("/") for part in forwarded.split(","))
    if not ROOT_PATH.fullmatch(told):
        return root_path
    return told if told.endswith(root_path) else told + root_path
