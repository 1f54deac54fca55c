"""onnxruntime: imported without telemetry and with AMX, and the one place that builds its sessions.

onnxruntime 1.32 uses AMX, the matrix instructions of newer Xeons, only after it has seen a thread move from one CPU to
another. In a process pinned to one CPU, 8-bit products then take two to three times as long. So the import runs with
every CPU allowed, and the pin is restored afterwards. Where the control group allows only one CPU
(``docker run --cpuset-cpus 0``) this cannot help; a quota (``--cpus 1``) costs nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from serving.bundle.bundle import Bundle
from serving.errors import BundleError


@contextlib.contextmanager
def on_every_cpu() -> Iterator[None]:
    """Let this thread, and those it starts, run on every CPU that the control group allows."""
    before = os.sched_getaffinity(0)
    if len(before) == 1:
        with contextlib.suppress(PermissionError):  # in a sandbox that forbids it
            os.sched_setaffinity(0, range(os.sysconf("SC_NPROCESSORS_CONF")))
    try:
        yield
    finally:
        if os.sched_getaffinity(0) != before:
            os.sched_setaffinity(0, before)


os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime's Linux wheels read it when they are imported

with on_every_cpu():
    import onnxruntime

__all__ = ["create_session", "on_every_cpu", "onnxruntime", "open_session"]

SLOWER_WHEN_FUSED = ["SkipLayerNormFusion", "BiasGeluFusion"]
"""Fusions of onnxruntime whose result is slower on a CPU than the operators it replaces: with them static int8 answers
a fifth fewer queries a second."""


def open_session(bundle: Bundle, logits: int, threads: int) -> onnxruntime.InferenceSession:
    """The session of a bundle's encoder graph; raises BundleError if it cannot be loaded or contradicts the manifest.

    Args:
        bundle: an opened bundle.
        logits: numbers that the graph must give for a text or a token.
        threads: CPU threads; onnxruntime's own default counts the host's cores, not the container's.
    """
    spec = bundle.manifest.graph
    # From memory: the bytes whose hash was checked are the bytes that run.
    session = create_session(bundle.read(spec.file), threads, spec.file, disabled_optimizers=SLOWER_WHEN_FUSED)
    _check_signature(bundle, session, logits)
    return session


def create_session(
    data: bytes, threads: int, name: str, disabled_optimizers: Sequence[str] = ()
) -> onnxruntime.InferenceSession:
    """A session on the CPU; raises BundleError, naming the file ``name``, if onnxruntime cannot load the graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # onnxruntime would keep a memory plan for every input shape it meets
    try:
        return onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled_optimizers)
        )
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        raise BundleError(f"{name} cannot be loaded by onnxruntime: {error}") from error


def _check_signature(bundle: Bundle, session: onnxruntime.InferenceSession, logits: int) -> None:
    spec = bundle.manifest.graph
    inputs, outputs = [node.name for node in session.get_inputs()], {node.name: node for node in session.get_outputs()}
    if inputs != spec.inputs or spec.output not in outputs:
        raise BundleError(f"{spec.file} takes {inputs} and gives {list(outputs)}; the manifest says otherwise.")
    if outputs[spec.output].shape[-1] != logits:
        raise BundleError(f"{spec.file} gives {outputs[spec.output].shape[-1]} logits; the manifest says {logits}.")
