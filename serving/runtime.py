"""onnxruntime, imported as it has to be: without usage data leaving the machine, and with all that the CPU can do.

onnxruntime 1.32 uses AMX, the matrix instructions of newer Xeons, once it has seen a thread take a matrix along from
one CPU to another. A process that was pinned to one CPU has nowhere to go, and its 8-bit products take two to three
times as long. So the import happens on every CPU there is, and the process is pinned again behind it. Where a control
group leaves it only one (``docker run --cpuset-cpus 0``) there is no way out; a quota (``--cpus 1``) costs nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def on_every_cpu() -> Iterator[None]:
    """Meanwhile this thread, and those it starts, may run wherever the control group lets them; then as before."""
    before = os.sched_getaffinity(0)
    if len(before) == 1:
        with contextlib.suppress(PermissionError):  # in a sandbox that forbids it
            os.sched_setaffinity(0, range(os.sysconf("SC_NPROCESSORS_CONF")))
    try:
        yield
    finally:
        if os.sched_getaffinity(0) != before:
            os.sched_setaffinity(0, before)


os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime's Linux wheels look at it when they are imported

with on_every_cpu():
    import onnxruntime

__all__ = ["on_every_cpu", "onnxruntime"]
