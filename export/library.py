"""An export in any Python program: a notebook, a script, a task of a data pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from export.exporter import Export, export_run
from serving.bundle.manifest import Device
from serving.inference.device import parse_device
from serving.observability.progress_bars import show_progress
from serving.settings.settings import available_cpus
from trainer.run.run import Run


def export(
    run: Run | str | Path,
    output: str | Path,
    *,
    variant: str = "fp32",
    fallback: bool = False,
    device: Device = "cpu",
    students: Sequence[str | Path] = (),
    max_metric_drop: float | None = None,
    threads: int | None = None,
    quiet: bool = False,
) -> Export:
    """Convert a run to ONNX, prove its answers on the test rows, and write the bundle.

    Args:
        run: what `fine_tune` returns, or a finished run's folder.
        output: the bundle's folder; replaces an older bundle, never anything else.
        variant: how the weights are written: ``fp32``, ``int8`` or another; ``auto`` is the fastest that passes.
        fallback: add fp32, for machines that do not reproduce an approximate variant's answers.
        device: where variants are proven, and then serve.
        students: with ``auto``, runs distilled from this one, which may serve for it.
        max_metric_drop: replaces ``export.max_metric_drop`` of the recipe.
        threads: batches of the proof that run at once; None: the CPUs of this process.
        quiet: show no progress.

    Returns:
        The bundle's folder, digest and size, and ``parity``: the proof with all its gates.

    Raises:
        InputError: the run, the output or an option cannot be used.
        ProofFailed: a gate failed; no bundle is written, and the figures are in the run's folder.
    """
    trained = run if isinstance(run, Run) else Run.open(Path(run))
    with show_progress(Console(stderr=True, quiet=quiet)):
        return export_run(
            trained,
            Path(output),
            variant,
            threads=threads or available_cpus(),
            fallback=fallback,
            device=parse_device(device),
            students=[Path(each) for each in students],
            max_metric_drop=max_metric_drop,
        )


__all__ = ["export"]
