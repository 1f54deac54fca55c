"""The process' limit of open files, and how many connections it allows."""

from __future__ import annotations

import logging
import resource
from dataclasses import replace

from serving.errors import InputError
from serving.http.server.places import PROBE_PLACES
from serving.settings.limits import ServerLimits

SPARE_DESCRIPTORS = PROBE_PLACES + 96
"""For probes; for files, logs, listeners and the event loop."""

LEAST_CONNECTIONS = 16
"""A server with fewer is no use."""

MACOS_MOST_FILES = 10_240
"""OPEN_MAX, which macOS holds a process to where its hard limit is unlimited: setrlimit(2) there."""

logger = logging.getLogger("tuneship")


def fit_connections(server_limits: ServerLimits) -> ServerLimits:
    """Raise the process' limit of open files to fit the connections; where it cannot be, take fewer.

    Raises InputError where they would be too few.
    """
    wanted = server_limits.descriptors + SPARE_DESCRIPTORS
    allowed = _raise_limit(wanted)
    if allowed >= wanted:
        return server_limits
    fitting = int(server_limits.max_connections * (allowed - SPARE_DESCRIPTORS) / server_limits.descriptors)
    if fitting < LEAST_CONNECTIONS:
        raise InputError(
            f"this process may open {allowed} files; a server needs {LEAST_CONNECTIONS * 2 + SPARE_DESCRIPTORS} or "
            f"more, and {wanted} for all its connections. Raise the hard limit: ulimit -Hn, or LimitNOFILE of systemd."
        )
    logger.warning(
        "this process may open %d files: it takes %d connections, not %d; raise the hard limit (ulimit -Hn) to %d",
        allowed, fitting, server_limits.max_connections, wanted,
    )  # fmt: skip
    return replace(server_limits, max_connections=fitting)


def _raise_limit(wanted: int) -> int:
    """The limit, which it raises towards ``wanted``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (ValueError, OSError):
        allowed = max(soft, min(allowed, MACOS_MOST_FILES))
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
