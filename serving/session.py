"""Opens the ONNX graph of a bundle in onnxruntime, with the settings it is proven and served with."""

from __future__ import annotations

from serving.bundle import Bundle
from serving.errors import BundleError
from serving.runtime import onnxruntime

SLOWER_WHEN_FUSED = ["SkipLayerNormFusion", "BiasGeluFusion"]
"""Operators of onnxruntime that take longer on a CPU than those they replace. An addition and the normalization behind
it, in one: four times as long; without it static int8 answers a quarter more queries a second, and fp32 as many as with
it. A bias and GELU, in one: a quarter longer than both alone, and twice as long as GELU where the product before it
adds the bias."""


def open_session(bundle: Bundle, logits: int, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU; raises BundleError if the graph cannot be loaded or is not what the manifest tells.

    Args:
        bundle: an opened bundle.
        logits: numbers that the graph must give for a text or a token.
        threads: onnxruntime sizes its pool by the host's cores, not the container's, so it is always told.
    """
    spec = bundle.manifest.graph
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # a plan for each shape that comes, kept for good: 14 MB more, and no faster
    try:
        # From memory: the bytes that were checked are the bytes that run, and nothing beside them can be opened.
        session = onnxruntime.InferenceSession(
            bundle.read(spec.file),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=SLOWER_WHEN_FUSED,
        )
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        raise BundleError(f"{spec.file} cannot be loaded by onnxruntime: {error}") from error
    _check_signature(bundle, session, logits)
    return session


def _check_signature(bundle: Bundle, session: onnxruntime.InferenceSession, logits: int) -> None:
    spec = bundle.manifest.graph
    inputs, outputs = [node.name for node in session.get_inputs()], {node.name: node for node in session.get_outputs()}
    if inputs != spec.inputs or spec.output not in outputs:
        raise BundleError(f"{spec.file} takes {inputs} and gives {list(outputs)}, not what the manifest tells.")
    if outputs[spec.output].shape[-1] != logits:
        raise BundleError(f"{spec.file} gives {outputs[spec.output].shape[-1]} logits; the manifest tells of {logits}.")
