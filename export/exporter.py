"""From run to bundle: convert, prove, and only then write."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.bundle.bom import create_bom
from export.bundle.card import write_card
from export.bundle.files import BOM, FIGURE, GOLDEN, PARITY, RELIABILITY, SEARCH, TOKENIZER, hash_files
from export.bundle.hub.folder import HubFolder, write_hub
from export.bundle.manifest import package_versions, to_verdict
from export.bundle.own import OwnBundle
from export.bundle.samples import select_golden_inputs, write_golden
from export.graphs.graph_file import PROTOBUF_LIMIT, copy_graph, data_file
from export.proof.gates import TEACHER_KEY
from export.proof.prove import Parity
from export.selection.candidate import Candidate, select_best, to_record
from export.selection.figure import draw_figure
from export.selection.search import search_variants
from export.selection.students import describe, open_beside, open_students, override_budget
from export.variants.registry import AUTO, FP32, PORTABLE_INT8, Variant, variant_named
from export.workspace import BuiltVariant, Workspace, generates
from serving.bundle.bundle import Bundle
from serving.bundle.cpu import describe_machine
from serving.bundle.manifest import MANIFEST, REFERENCE, Alternative, Device, GoldenSpec, Provider, ServesFor
from serving.errors import InputError, UserError
from serving.inference.device import choose_provider
from serving.inference.predictor import Predictor
from serving.observability.progress import begin_step
from stores.folders import check_output, replace_folder, staging_folder
from trainer.model.architecture import is_static, read_architecture
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import require_locked
from trainer.run.report.figures import reliability_figure
from trainer.run.run import Run, write_atomically
from trainer.run.tracking.session import log_bundle

HUB_VARIANTS = {each.name: each for each in (FP32, PORTABLE_INT8)}


class ProofFailed(UserError):
    """A gate failed; no bundle was written."""


@dataclass(frozen=True)
class ProvenVariant:
    built: BuiltVariant
    parity: Parity


@dataclass(frozen=True)
class Export:
    """``candidates`` are those of ``--variant auto``; ``warnings`` of trackers that could not be told.

    ``served``: the name of the candidate that serves.
    """

    bundle: Path
    digest: str
    bytes: int
    parity: Parity
    candidates: list[Candidate]
    warnings: list[str]
    served: str


def export_run(
    run: Run,
    output: Path,
    variant_name: str = "fp32",
    *,
    threads: int = 1,
    fallback: bool = False,
    max_bytes: int = PROTOBUF_LIMIT,
    device: Device = "cpu",
    students: Sequence[Path] = (),
    max_metric_drop: float | None = None,
) -> Export:
    """Convert a run, prove it, and write the bundle. Steps are reported through `serving.observability.progress`.

    Args:
        output: the bundle's folder; replaces an older bundle.
        variant_name: of `export.variants.registry`, or ``auto`` for the fastest that passes.
        threads: batches of the proof that run at once, one thread each.
        fallback: add fp32, for machines that do not reproduce an approximate variant's answers.
        max_bytes: a larger graph has its tensors in a data file.
        device: where variants are proven, and then serve.
        students: with ``auto``, the folders of runs distilled from this one, which may serve for it.
        max_metric_drop: replaces ``export.max_metric_drop`` of the recipe, also for what a student loses to the run.

    Raises:
        InputError: the device is missing, ``output`` has something else, there is no such variant, or the run is not
            as its lock.json says.
        ProofFailed: a gate failed; the figures are in the run's folder.
    """
    provider = choose_provider(device)
    variant = None if variant_name == AUTO else variant_named(variant_name, generates(run), provider)
    budget = override_budget(max_metric_drop, variant)
    check_output(output)
    require_locked(run)
    taught = open_students(run, students, variant)
    begin_step("converting, and computing the checkpoint's answers to every test row…")
    with staging_folder(output) as folder, ExitStack() as stack:
        workspace = stack.enter_context(Workspace.open(run, threads, max_bytes, provider, overrides=budget))
        selected = None
        if variant is None:
            beside = [stack.enter_context(open_beside(workspace, each, budget)) for each in taught]
            proven, candidates, selected = _prove_fastest(workspace, folder, beside)
        else:
            begin_step(f"{variant.name}: converting and proving…")
            variants = [variant, *([FP32] if fallback and not variant.exact else [])]
            proven, candidates = [_prove_variant(workspace, each, folder) for each in variants], []
            _write_facts(proven[0], folder)
        begin_step("writing the bundle and answering its golden rows…")
        serving = selected.student if selected and selected.student else workspace
        write_bundle(serving, proven, folder, describe(run, selected) if selected else None)
        serving.reference.model.release()
        Predictor.load(OwnBundle.open(folder), threads)
        serving.reference.model.release()
        replace_folder(output, folder)
    bundle = Bundle.open(output)
    size = sum(path.stat().st_size for path in output.iterdir())
    warnings = log_bundle(serving.run, bundle.digest, proven[0].parity.variant)
    served = selected.name if selected else proven[0].parity.variant
    return Export(output, bundle.digest, size, proven[0].parity, candidates, warnings, served)


@dataclass(frozen=True)
class HubExport:
    """``proofs``: of the variants in the folder."""

    folder: HubFolder
    bytes: int
    proofs: list[Parity]


def export_hub(
    run: Run,
    output: Path,
    variant_name: str | None = None,
    *,
    threads: int = 1,
    max_bytes: int = PROTOBUF_LIMIT,
) -> HubExport:
    """Convert a run, prove it as `export_run`, and write the folder that the Hugging Face Hub's programs read.

    Args:
        output: a folder that is new or empty.
        variant_name: ``fp32``; ``int8``, with fp32; None: fp32, with int8 if it passes.

    Raises:
        InputError: ``output`` has something, there is no such variant, or the run is not as its lock.json says.
        ProofFailed: a gate failed; the figures are in the run's folder.
    """
    if is_static(read_architecture(run.checkpoint, str(run.checkpoint))):
        raise InputError(f"{run.root}: the hub's programs have no class for a static student; export a bundle")
    data = load_recipe(run.recipe).data
    if own := [*data.preprocess, *data.postprocess]:
        raise InputError(f"{run.root}: the hub's programs have no {', '.join(own)}, which it needs; export a bundle")
    variants = _hub_variants(variant_name, generates(run))
    check_output(output, replaced="", mark="")
    require_locked(run)
    begin_step("converting, and computing the checkpoint's answers to every test row…")
    with staging_folder(output) as bundle, Workspace.open(run, threads, max_bytes) as workspace:
        proven, left_out = [], ""
        for variant in variants:
            begin_step(f"{variant.name}: converting and proving…")
            try:
                proven.append(_prove_variant(workspace, variant, bundle))
            except UserError as error:
                if variant_name or not proven:
                    raise
                left_out = _first_reason(error)
        begin_step("writing the folder and answering the golden rows as others do…")
        write_bundle(workspace, proven, bundle)
        workspace.reference.model.release()
        folder = write_hub(Bundle.open(bundle), run.checkpoint, _create_folder(bundle.parent / "hub"), left_out)
        replace_folder(output, folder.root)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    return HubExport(dataclasses.replace(folder, root=output), size, [each.parity for each in proven])


def _first_reason(error: UserError) -> str:
    """A failed proof's first gate."""
    first, *more = str(error).splitlines()
    return more[0].strip().partition(";")[0] if isinstance(error, ProofFailed) and more else first


def _hub_variants(name: str | None, generates: bool) -> list[Variant]:
    accepted = [FP32.name] if generates else [*HUB_VARIANTS]
    if name not in (None, *accepted):
        raise InputError(
            f"--layout hub has no variant {name!r} of this model; accepted: {', '.join(accepted)}", field="--variant"
        )
    return [HUB_VARIANTS[each] for each in accepted if name in (None, each) or each == FP32.name]


def write_bundle(
    workspace: Workspace, proven: Sequence[ProvenVariant], folder: Path, serves_for: ServesFor | None = None
) -> None:
    """Write all files. The first variant serves; its fallbacks' files are marked with their names."""
    built = proven[0].built
    served = _write_variant(workspace, proven[0], folder, "")
    fallbacks = [_write_variant(workspace, each, folder, each.built.variant.name) for each in proven[1:]]
    shutil.copyfile(built.folder / TOKENIZER, folder / TOKENIZER)
    data = built.manifest.data | _describe_unlabelled(proven[0].parity)
    manifest = built.manifest.model_copy(
        update={**dict(served), "fallbacks": fallbacks, "data": data, "serves_for": serves_for}
    )
    reference = workspace.drift_references[built.variant.name]
    (folder / REFERENCE).write_text(reference.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if reliability := proven[0].parity.reliability:
        reliability_figure(reliability, folder / RELIABILITY)
    write_card(manifest, folder)
    (folder / BOM).write_bytes(create_bom(manifest.model_copy(update={"files": hash_files(folder)})))
    sealed = manifest.model_copy(update={"files": hash_files(folder)}).seal()
    (folder / MANIFEST).write_bytes(sealed.to_bytes())


def _describe_unlabelled(parity: Parity) -> dict[str, Any]:
    unlabelled = parity.change.unlabelled if parity.change else None
    return {"unlabelled": {key: getattr(unlabelled, key) for key in ("source", "rows", "sha256")}} if unlabelled else {}


def _prove_fastest(
    workspace: Workspace, folder: Path, students: Sequence[Workspace]
) -> tuple[list[ProvenVariant], list[Candidate], Candidate]:
    """The best candidate serves, with fp32 of the same run behind it."""
    candidates = search_variants(workspace, folder.parent, generates(workspace.run), students)
    fp32, best = candidates[0], select_best(candidates)
    if fp32.parity is None:
        raise ProofFailed(f"fp32, which every bundle needs, cannot be proven: {fp32.reason}")
    _require_passed(fp32.parity, workspace.run, FP32)
    _write_json(folder / SEARCH, to_record(candidates, best) | {"figure": FIGURE})
    draw_figure(candidates, best, folder / FIGURE)
    behind = next(each for each in candidates if each.student is best.student and each.variant is fp32.variant)
    selected = [best, *([behind] if best is not behind else [])]
    proven = [ProvenVariant(each.built, each.parity) for each in selected if each.built and each.parity]
    return proven, candidates, best


def _write_facts(proven: ProvenVariant, folder: Path) -> None:
    if proven.built.facts:
        candidate = Candidate(proven.built.variant, proven.built, parity=proven.parity)
        _write_json(folder / SEARCH, to_record([candidate], candidate))


def _prove_variant(workspace: Workspace, variant: Variant, folder: Path) -> ProvenVariant:
    built = workspace.calibrate(workspace.build(variant, _create_folder(folder.parent / variant.name)))
    parity = workspace.prove(built)
    _require_passed(parity, workspace.run, variant)
    return ProvenVariant(built, parity)


def _write_variant(workspace: Workspace, proven: ProvenVariant, folder: Path, mark: str) -> Alternative:
    built, graph = proven.built, proven.built.manifest.graph
    for name in graph.files:
        copy_graph(built.folder / name, folder / _mark(name, mark))
    predictor, golden = workspace.create_predictor(built), _mark(GOLDEN, mark)
    inputs = select_golden_inputs(predictor, workspace.reference.evaluation.inputs)
    write_golden(predictor, inputs, folder / golden)
    _write_json(folder / _mark(PARITY, mark), _to_parity_record(proven.parity, workspace.threads, workspace.provider))
    marked = [_mark(name, mark) for name in graph.files]
    data = [path.name for name in marked if (path := data_file(folder / name)).exists()]
    names = {"file": marked[0], "decoder": marked[1] if graph.decoder else None, "data": data}
    return Alternative(
        graph=graph.model_copy(update=names),
        settings=built.manifest.settings,
        golden=GoldenSpec(file=golden, rows=len(inputs), tolerance=built.variant.golden_tolerance),
        verdict=to_verdict(proven.parity),
    )


def _mark(name: str, mark: str) -> str:
    """``model.onnx`` as ``model.fp32.onnx``."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.{mark}{dot}{suffix}" if mark else name


def _require_passed(parity: Parity, run: Run, variant: Variant) -> None:
    if parity.passed:
        return
    report = run.root / f"failed-parity-{variant.name}.json"
    write_atomically(report, _to_json(dataclasses.asdict(parity)))
    failures = "\n".join(f"  {failure}" for failure in parity.failures)
    only_teacher = all(gate.key == TEACHER_KEY for gate in parity.gates if gate.failed)
    wanted = "well as its teacher" if only_teacher else "the checkpoint does"
    budget = "" if variant.exact and not only_teacher else f"\nThe bounds are keys of export in {run.recipe}."
    raise ProofFailed(
        f"the {variant.name} variant does not answer as {wanted}; no bundle was written.\n{failures}\n"
        f"Every figure, and the worst rows, are in {report}.{budget}"
    )


def _to_parity_record(parity: Parity, threads: int, provider: Provider) -> dict[str, Any]:
    return dataclasses.asdict(parity) | {
        "passed": parity.passed,
        "reference": "transformers' tokenizer and the torch checkpoint, float32, on the CPU",
        "candidate": f"serving's predictor on this bundle's files, {threads} batches at once of one thread each; "
        f"golden answers again on {threads} thread(s)",
        "machine": describe_machine(),
        "provider": provider,
        "versions": package_versions(),
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(_to_json(content), encoding="utf-8")


def _to_json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _create_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder
