"""onnxruntime, without telemetry and with AMX, and the only place that builds sessions.

onnxruntime 1.32 detects AMX, the matrix instructions of newer Xeons, only once a thread changes its CPU. So the import
runs with all CPUs allowed. That does not help where the control group allows one CPU.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from serving.bundle.bundle import Bundle, GraphFile
from serving.bundle.manifest import Provider
from serving.errors import BundleError
from serving.inference.cpus import on_every_cpu

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime's Linux wheels read it at import

with on_every_cpu():
    import onnxruntime

__all__ = ["CUDA", "Session", "create_session", "onnxruntime", "open_session"]

FATAL = 4
"""The lowest severity that onnxruntime logs: errors are raised, and logged once by who catches them."""

SLOWER_WHEN_FUSED = ["SkipLayerNormFusion", "BiasGeluFusion"]
"""On a CPU these fused operators are slower than those they replace."""


CUDA = "CUDAExecutionProvider"
PROVIDERS: dict[Provider, list[Any]] = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": [(CUDA, {"use_tf32": "0"}), "CPUExecutionProvider"],  # TF32 would round the factors of every product
}

_running: dict[int, tuple[Session, onnxruntime.RunOptions]] = {}
"""By thread."""

EXIT_SECONDS = 1.0


class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
    """Its runs can be interrupted."""

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any], _: Any = None) -> Any:
        """Arrays of these outputs; None: of all."""
        thread, options = threading.get_ident(), onnxruntime.RunOptions()
        options.log_severity_level = FATAL
        _running[thread] = self, options
        try:
            return super().run(names, feeds, options)
        finally:
            del _running[thread]

    def interrupt(self) -> None:
        """Make the runs under way fail, at the end of a node; also an endless loop's."""
        for session, options in list(_running.values()):
            if session is self:
                options.terminate = True


@atexit.register
def _interrupt_all() -> None:
    """A thread that ran a graph beyond the interpreter's end would abort the process."""
    end = time.monotonic() + EXIT_SECONDS
    while _running and time.monotonic() < end:
        for _, options in list(_running.values()):
            options.terminate = True
        time.sleep(0.01)


def open_session(bundle: Bundle, logits: int, threads: int) -> Session:
    """An encoder graph's session; raises BundleError if it contradicts the manifest.

    Args:
        bundle: an opened bundle.
        logits: size of the output's last dimension.
        threads: onnxruntime's default counts the host's cores, not the container's.
    """
    spec = bundle.manifest.graph
    # From memory: the bytes that were hashed are the bytes that run.
    disabled = SLOWER_WHEN_FUSED if spec.provider == "cpu" else ()
    session = create_session(bundle.read_graph(spec.file), threads, disabled)
    inputs, outputs = [node.name for node in session.get_inputs()], {node.name: node for node in session.get_outputs()}
    if inputs != spec.inputs or spec.output not in outputs:
        raise BundleError(f"{spec.file} takes {inputs} and gives {list(outputs)}; the manifest says otherwise.")
    if outputs[spec.output].shape[-1] != logits:
        raise BundleError(f"{spec.file} gives {outputs[spec.output].shape[-1]} logits; the manifest says {logits}.")
    return session


def create_session(graph: GraphFile, threads: int, disabled_optimizers: Sequence[str] = ()) -> Session:
    """On the graph's provider; raises BundleError naming its file.

    onnxruntime reads only the ONNX format, whose tensors `GraphFile` has searched, and no file but the graph's own
    ``path``, if that is given.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL
    options.enable_mem_pattern = False  # onnxruntime would keep a memory plan for every input shape
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if graph.path is None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    if graph.provider == "cuda" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # from the packages that onnxruntime-gpu[cuda,cudnn] brings
    names, buffers = list(graph.data), list(graph.data.values())
    options.add_external_initializers_from_files_in_memory(names, buffers, list(map(len, buffers)))  # it copies them
    try:
        session = Session(
            graph.path or graph.content,
            options,
            providers=PROVIDERS[graph.provider],
            disabled_optimizers=list(disabled_optimizers),
            read_config_from_model=0,
        )
    except Exception as error:  # onnxruntime's exceptions share no public base class
        raise BundleError(f"{graph.name} cannot be loaded by onnxruntime: {error}") from error
    if graph.provider == "cuda" and session.get_providers()[0] != CUDA:  # onnxruntime logs why, and takes the CPU
        raise BundleError(
            f"{graph.name}: onnxruntime cannot load CUDA's or cuDNN's libraries: pip install 'tuneship[gpu]'"
        )
    session._model_bytes = None  # the file's bytes, which onnxruntime keeps for a change of providers
    return session
