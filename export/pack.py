"""Run to bundle: convert, prove, and only then put the bundle at its path."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from export.card import write_card
from export.golden import golden_inputs, write_golden
from export.graph import OPSET
from export.graphs import Graphs, write_graphs
from export.parity import Parity, prove
from export.quantize import Variant, variant_named
from export.reference import reference_of
from serving.bundle import (
    MANIFEST,
    Bundle,
    FileEntry,
    GoldenSpec,
    GraphSpec,
    Limits,
    Manifest,
    TokenizerSpec,
    Verdict,
    sha256_of,
)
from serving.errors import InputError
from serving.machine import describe_machine
from serving.predictor import Predictor
from trainer.model import Checkpoint, load_checkpoint
from trainer.recipe import load_recipe
from trainer.run import Run
from trainer.tasks import learning_of

TOKENIZER, GOLDEN, PARITY, CARD = "tokenizer.json", "golden.jsonl", "parity.json", "README.md"


class ProofFailed(InputError):
    """The served answers are not the measured ones; no bundle was written."""


@dataclass(frozen=True)
class Export:
    """What an export made."""

    bundle: Path
    digest: str
    bytes: int
    parity: Parity


def export_run(run: Run, output: Path, variant_name: str = "fp32", *, threads: int = 1) -> Export:
    """Make, prove and place a bundle.

    Args:
        run: a finished run.
        output: the bundle's folder; an older bundle there is replaced, anything else is left alone.
        variant_name: one of `export.quantize.VARIANTS`.
        threads: CPU threads for the proof.

    Raises:
        InputError: ``output`` holds something else, or there is no such variant.
        ProofFailed: a gate does not hold; the figures are then in the run's folder.
    """
    variant = variant_named(variant_name)
    check_target(output)
    with _aside(output) as folder:
        parity = _build(run, folder, variant, threads)
        Predictor.open(folder, threads=threads)
        _replace(output, folder)
    bundle = Bundle.open(output)
    return Export(output, bundle.digest, _size(bundle), parity)


def check_target(output: Path) -> None:
    """Raise InputError unless ``output`` is free, empty, or an older bundle."""
    if output.is_dir() and (not any(output.iterdir()) or (output / MANIFEST).is_file()):
        return
    if output.exists():
        raise InputError(f"{output} holds something else than a bundle. Choose another --output, or empty it first.")


def _build(run: Run, folder: Path, variant: Variant, threads: int) -> Parity:
    """Write every file of the bundle into ``folder``; raises ProofFailed."""
    evaluation = run.read_evaluation()
    checkpoint = load_checkpoint(run.checkpoint, attn_implementation="eager")
    graphs = _write_graphs(checkpoint, variant, folder)
    _write_tokenizer(run, folder / TOKENIZER)
    draft = _draft_manifest(run, checkpoint, variant, graphs)
    predictor = Predictor(Bundle(folder, draft.model_copy(update={"files": _entries(folder)})), threads=threads)
    learning = learning_of(load_recipe(run.recipe))
    parity = prove(reference_of(run.checkpoint), predictor, learning, evaluation, variant)
    _require_proof(parity, run, variant)
    rows = write_golden(predictor, golden_inputs(predictor, evaluation.inputs), folder / GOLDEN)
    _write_json(folder / PARITY, _parity_record(parity, threads))
    manifest = draft.model_copy(
        update={"golden": draft.golden.model_copy(update={"rows": rows}), "verdict": _verdict(parity)}
    )
    write_card(manifest, parity, folder / CARD)
    sealed = manifest.model_copy(update={"files": _entries(folder)}).sealed()
    (folder / MANIFEST).write_bytes(sealed.to_bytes())
    return parity


def _write_graphs(checkpoint: Checkpoint, variant: Variant, target: Path) -> Graphs:
    with tempfile.TemporaryDirectory() as folder:
        graphs = write_graphs(checkpoint, Path(folder))
        for name in graphs.files:
            variant.make(Path(folder) / name, target / name)
    return graphs


def _write_tokenizer(run: Run, path: Path) -> None:
    """The checkpoint's tokenizer, neither padding nor truncating: the manifest says how long a text may be."""
    tokenizer = Tokenizer.from_file(str(run.checkpoint / TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(path), pretty=False)


def _draft_manifest(run: Run, checkpoint: Checkpoint, variant: Variant, graphs: Graphs) -> Manifest:
    record = run.read_record()
    tokenizer = checkpoint.tokenizer
    return Manifest(
        schema_version=3,
        name=run.root.resolve().name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=record["task"],
        labels=checkpoint.labels,
        settings=checkpoint.task.settings.model_dump(mode="json"),
        tokenizer=TokenizerSpec(
            file=TOKENIZER,
            max_length=checkpoint.max_length,
            pad_token_id=tokenizer.pad_token_id,
            pad_token_type_id=tokenizer.pad_token_type_id,
            padding_side=tokenizer.padding_side,
        ),
        graph=GraphSpec(
            file=graphs.file,
            decoder=graphs.decoder,
            variant=variant.name,
            opset=OPSET,
            inputs=graphs.inputs,
            output="logits",
            row_independent=variant.row_independent,
        ),
        golden=GoldenSpec(file=GOLDEN, rows=1, tolerance=variant.golden_tolerance),
        limits=Limits(),
        verdict=Verdict(
            passed=False, rows=0, token_ids_equal=False, answers_equal=0, max_abs_logit_difference=0.0,
            metric="", score=0.0, reference_score=0.0,
        ),
        model=record["model"] | {"checkpoint": checkpoint_hashes(run)},
        data=record["data"],
        versions=record["versions"] | _versions(),
        proven_on=describe_machine(),
        files={},
    )  # fmt: skip


def checkpoint_hashes(run: Run) -> dict[str, str]:
    """sha256 of the run's weight files, by name: what ties a bundle to the run it was made from."""
    return {path.name: sha256_of(path) for path in sorted(run.checkpoint.glob("*.safetensors"))}


def _verdict(parity: Parity) -> Verdict:
    return Verdict(
        passed=parity.passed,
        rows=parity.compared,
        token_ids_equal=parity.token_ids_equal == parity.compared,
        answers_equal=parity.answers_equal,
        max_abs_logit_difference=parity.max_abs_logit_difference,
        metric=parity.metric,
        score=parity.score,
        reference_score=parity.reference_score,
    )


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
    return f"\nExport fp32 instead, or accept a larger loss: export.max_accuracy_drop in {run.recipe}."


def _parity_record(parity: Parity, threads: int) -> dict[str, Any]:
    return dataclasses.asdict(parity) | {
        "passed": parity.passed,
        "reference": "transformers' tokenizer and the torch checkpoint, float32, on the CPU",
        "candidate": f"serving's predictor on this bundle's files, {threads} thread(s)",
        "machine": describe_machine(),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    names = ("tuneship", "onnxruntime", "tokenizers", "torch", "onnx")
    return {name: importlib.metadata.version(name) for name in names}


def _entries(folder: Path) -> dict[str, FileEntry]:
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    return {path.name: FileEntry(sha256=sha256_of(path), size=path.stat().st_size) for path in files}


def _size(bundle: Bundle) -> int:
    return sum(path.stat().st_size for path in bundle.root.iterdir())


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _aside(output: Path) -> Iterator[Path]:
    """A folder beside ``output`` to build in, on the same file system, gone afterwards whatever happens."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        (Path(folder) / "bundle").mkdir()
        yield Path(folder) / "bundle"


def _replace(output: Path, folder: Path) -> None:
    """Put the finished folder at ``output``; an older bundle is gone only once the new one is in place."""
    old = folder.parent / "old"
    if output.exists():
        output.rename(old)
    folder.rename(output)
    shutil.rmtree(old, ignore_errors=True)
