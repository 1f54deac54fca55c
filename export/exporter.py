"""Run to bundle: convert, prove, and only then put the bundle at its path."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.bundle.bom import BOM, bom_of
from export.bundle.card import write_card
from export.bundle.drift_reference import write_reference
from export.bundle.golden import golden_inputs, write_golden
from export.bundle.manifest import GOLDEN, PARITY, TOKENIZER, entries_of, verdict_of, versions
from export.proof.parity import Parity
from export.selection.figure import draw
from export.selection.search import Candidate, best_of, record_of, search
from export.variants.registry import AUTO, FP32, variant_named
from export.variants.variant import Variant
from export.workspace import BuiltVariant, Workspace, generates
from serving.bundle.bundle import Bundle
from serving.bundle.cpu import describe_machine
from serving.bundle.manifest import MANIFEST, REFERENCE, Alternative, GoldenSpec
from serving.errors import InputError
from serving.inference.predictor import Predictor
from trainer.run.run import Run

SEARCH, FIGURE = "variants.json", "variants.svg"


class ProofFailed(InputError):
    """The served answers are not the measured ones; no bundle was written."""


@dataclass(frozen=True)
class Proven:
    """A variant that every gate lets pass."""

    made: BuiltVariant
    parity: Parity


@dataclass(frozen=True)
class Export:
    """What an export made."""

    bundle: Path
    digest: str
    bytes: int
    parity: Parity
    candidates: list[Candidate]


def export_run(
    run: Run,
    output: Path,
    variant_name: str = "fp32",
    *,
    threads: int = 1,
    fallback: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> Export:
    """Make, prove and place a bundle.

    Args:
        run: a finished run.
        output: the bundle's folder; an older bundle there is replaced, anything else is left alone.
        variant_name: a name of `export.variants.registry`, or ``auto``: the fastest that holds, with fp32 behind it.
        threads: CPU threads for the proof.
        fallback: put fp32 behind an approximate variant, for machines on which that does not answer as proven.
        tell: told of each step as it begins.

    Raises:
        InputError: ``output`` holds something else, or there is no such variant.
        ProofFailed: a gate does not hold; the figures are then in the run's folder.
    """
    variant = None if variant_name == AUTO else variant_named(variant_name, generates(run))
    check_target(output)
    on_step("converting, and asking the checkpoint every test row…")
    with _aside(output) as folder, Workspace.open(run, threads) as workspace:
        apart = _new(folder.parent / "variants")
        if variant is None:
            proven, candidates = _searched(workspace, apart, folder, on_step)
        else:
            on_step(f"{variant.name}: converting and proving…")
            variants = [variant, *([FP32] if fallback and not variant.exact else [])]
            proven, candidates = [_proven(workspace, each, _new(apart / each.name)) for each in variants], []
            _write_facts(proven[0], folder)
        write_bundle(workspace, proven, folder)
        Predictor.open(folder, threads=threads)
        _replace(output, folder)
    bundle = Bundle.open(output)
    return Export(output, bundle.digest, _size(bundle), proven[0].parity, candidates)


def check_target(output: Path) -> None:
    """Raise InputError unless ``output`` is free, empty, or an older bundle."""
    if output.is_dir() and (not any(output.iterdir()) or (output / MANIFEST).is_file()):
        return
    if output.exists():
        raise InputError(f"{output} holds something else than a bundle. Choose another --output, or empty it first.")


def write_bundle(workspace: Workspace, proven: Sequence[Proven], folder: Path) -> None:
    """Write every file of the bundle into ``folder``: the first variant serves, the others are fallbacks, in order.

    A fallback's files carry its name: ``model.fp32.onnx``, ``golden.fp32.jsonl``, ``parity.fp32.json``.
    """
    first, *others = [_placed(workspace, each, folder, "" if at == 0 else each.made.variant.name)
                      for at, each in enumerate(proven)]  # fmt: skip
    served = proven[0].made.manifest
    shutil.copyfile(proven[0].made.folder / TOKENIZER, folder / TOKENIZER)
    manifest = served.model_copy(update={**dict(first), "fallbacks": others})
    write_reference(workspace.predictor(proven[0].made), workspace.expected.asked, folder / REFERENCE)
    write_card(manifest, folder)
    (folder / BOM).write_bytes(bom_of(manifest.model_copy(update={"files": entries_of(folder)})))
    sealed = manifest.model_copy(update={"files": entries_of(folder)}).sealed()
    (folder / MANIFEST).write_bytes(sealed.to_bytes())


def _searched(
    workspace: Workspace, apart: Path, folder: Path, on_step: Callable[[str], None]
) -> tuple[list[Proven], list[Candidate]]:
    """The best variant and fp32 behind it; every candidate's figures are written into the bundle's folder."""
    candidates = search(workspace, apart, generates(workspace.run), on_step)
    fp32, best = candidates[0], best_of(candidates)
    if fp32.parity is None or fp32.made is None:
        raise ProofFailed(f"fp32 cannot be made, and so nothing else: {fp32.reason}")
    _require_proof(fp32.parity, workspace.run, FP32)
    _write_json(folder / SEARCH, record_of(candidates, best) | {"figure": FIGURE})
    draw(candidates, best, folder / FIGURE)
    chosen = [best, *([fp32] if best is not fp32 else [])]
    return [Proven(each.made, each.parity) for each in chosen if each.made and each.parity], candidates


def _write_facts(proven: Proven, folder: Path) -> None:
    """How a fitted variant came to be, where there is more to say than its name."""
    if proven.made.facts:
        candidate = Candidate(proven.made.variant, proven.made, proven.made.size, parity=proven.parity)
        _write_json(folder / SEARCH, record_of([candidate], candidate))


def _proven(workspace: Workspace, variant: Variant, folder: Path) -> Proven:
    """Make a variant and hold it against the checkpoint; raises ProofFailed."""
    made = workspace.build(variant, folder)
    parity = workspace.prove(made, workspace.predictor(made))
    _require_proof(parity, workspace.run, variant)
    return Proven(made, parity)


def _placed(workspace: Workspace, proven: Proven, folder: Path, mark: str) -> Alternative:
    """Put one variant's graphs, recorded answers and proof into the bundle's folder, their names marked."""
    made, graph = proven.made, proven.made.manifest.graph
    for name in filter(None, (graph.file, graph.decoder)):
        shutil.copyfile(made.folder / name, folder / _marked(name, mark))
    predictor, golden = workspace.predictor(made), _marked(GOLDEN, mark)
    rows = write_golden(predictor, golden_inputs(predictor, workspace.evaluation.inputs), folder / golden)
    _write_json(folder / _marked(PARITY, mark), _parity_record(proven.parity, workspace.threads))
    names = {"file": _marked(graph.file, mark), "decoder": graph.decoder and _marked(graph.decoder, mark)}
    return Alternative(
        graph=graph.model_copy(update=names),
        golden=GoldenSpec(file=golden, rows=rows, tolerance=made.variant.golden_tolerance),
        verdict=verdict_of(proven.parity),
    )


def _marked(name: str, mark: str) -> str:
    """``model.onnx`` as ``model.fp32.onnx``."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.{mark}{dot}{suffix}" if mark else name


def _require_proof(parity: Parity, run: Run, variant: Variant) -> None:
    if parity.passed:
        return
    report = run.root / f"failed-parity-{variant.name}.json"
    _write_json(report, dataclasses.asdict(parity))
    lines = "\n".join(f"  {failure}" for failure in parity.failures)
    raise ProofFailed(
        f"the {variant.name} variant does not answer as the checkpoint does; no bundle was written.\n{lines}\n"
        f"Every figure, and the worst rows, are in {report}.{_advice(variant, run)}"
    )


def _advice(variant: Variant, run: Run) -> str:
    if variant.exact:
        return ""
    return f"\nThe budget is export.max_metric_drop in {run.recipe}."


def _parity_record(parity: Parity, threads: int) -> dict[str, Any]:
    return dataclasses.asdict(parity) | {
        "passed": parity.passed,
        "reference": "transformers' tokenizer and the torch checkpoint, float32, on the CPU",
        "candidate": f"serving's predictor on this bundle's files, {threads} thread(s)",
        "machine": describe_machine(),
        "versions": versions(),
    }


def _size(bundle: Bundle) -> int:
    return sum(path.stat().st_size for path in bundle.root.iterdir())


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _aside(output: Path) -> Iterator[Path]:
    """A folder beside ``output`` to build in, on the same file system, gone afterwards whatever happens."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        yield _new(Path(folder) / "bundle")


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _replace(output: Path, folder: Path) -> None:
    """Put the finished folder at ``output``; an older bundle is gone only once the new one is in place."""
    old = folder.parent / "old"
    if output.exists():
        output.rename(old)
    folder.rename(output)
    shutil.rmtree(old, ignore_errors=True)
