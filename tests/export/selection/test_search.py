"""``--variant auto``: every variant is tried, what fails is dropped with a reason, the fastest that holds serves."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from export.console import variants_table
from export.exporter import Export, ProofFailed, export_run
from export.proof.gate import Gate
from export.proof.prove import Parity
from export.proof.statistics.metric_change import LEVEL
from export.selection import search
from export.selection.candidate import Candidate, select_best
from export.selection.speed import Pace
from export.variants.registry import VARIANTS
from export.workspace import BuiltVariant, Workspace
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.inference.predictor import Predictor
from trainer.run.lock import read_lock
from trainer.run.run import Run


@pytest.fixture(scope="module")
def found(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The result of ``--variant auto`` for the tiny run."""
    return export_run(tiny_run, tmp_path_factory.mktemp("auto") / "bundle", "auto")


def record_of(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / "variants.json").read_text())
    return content


def test_every_variant_is_tried(found: Export) -> None:
    """variants.json has each one's size, speed, quality and verdict; the manifest hashes it."""
    record = record_of(found.bundle)
    assert [each["variant"] for each in record["candidates"]] == list(VARIANTS)
    assert all(each["bytes"] and each["speed"]["rate"] > 0 for each in record["candidates"])
    assert all(each["holds"] or each["reason"] for each in record["candidates"])
    assert {"variants.json", "variants.svg"} <= Bundle.open(found.bundle).manifest.files.keys()


def test_the_choice_serves_with_fp32_behind_it(found: Export) -> None:
    """The bundle has the selected variant and, if that is another, fp32 as its fallback."""
    opened, record = Bundle.open(found.bundle), record_of(found.bundle)
    assert opened.manifest.graph.variant == record["chosen"]
    behind = [each.manifest.graph.variant for each in opened.alternatives]
    assert behind == ([] if record["chosen"] == "fp32" else ["fp32"])
    assert Predictor.open(found.bundle).predict(["where is my parcel?"])


def test_the_choice_is_the_fastest_that_holds(found: Export) -> None:
    """No variant that passed is faster."""
    record = record_of(found.bundle)
    ratios = {each["variant"]: each["speed"]["ratio"] for each in record["candidates"] if each["holds"]}
    assert record["chosen"] == max(ratios, key=lambda name: ratios[name])


@pytest.mark.parametrize(
    ("ratios", "chosen"),
    [
        ({"fp32": 1.0, "int8": 2.0, "int8-dynamic": 3.0}, "int8-dynamic"),
        ({"fp32": 1.0, "int8": 2.0, "int8-dynamic": (9.0, "12 answers differ")}, "int8"),
        ({"fp32": 1.0, "int8": 0.8}, "fp32"),
        ({"fp32": 1.0, "int8": (None, "cannot be made")}, "fp32"),
    ],
)
def test_the_fastest_is_selected(ratios: dict[str, Any], chosen: str) -> None:
    """The fastest without a reason against it; fp32 if all others are slower or fail."""
    candidates = []
    for name, given in ratios.items():
        ratio, reason = given if isinstance(given, tuple) else (given, "")
        pace = None if ratio is None else Pace(ratio, ratio, (ratio, ratio))
        candidates.append(Candidate(VARIANTS[name], pace=pace, reason=reason))
    assert select_best(candidates).variant.name == chosen


@pytest.mark.slow
def test_a_variant_that_fails_is_dropped_with_its_reason(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variant that cannot be built and one with wrong answers have a reason, and another serves."""

    def refuses(*_: object) -> dict[str, Any]:
        raise InputError("this one needs what is not here")

    def wrong(source: Path, target: Path, *_: object) -> dict[str, Any]:
        import onnx
        from onnx import numpy_helper

        model = onnx.load(str(source))
        labels = tiny_run.read_record()["labels"]
        for each in model.graph.initializer:
            if len(each.dims) == 2 and len(labels) in each.dims:
                each.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(each), each.name))
        onnx.save(model, str(target))
        return {}

    only(monkeypatch, {"int8": refuses, "fp16": wrong})
    paced(monkeypatch, {"fp32": 1.0, "fp16": 2.0})
    bundle = export_run(tiny_run, tmp_path / "bundle", "auto").bundle
    reasons = {each["variant"]: each["reason"] for each in record_of(bundle)["candidates"]}
    assert reasons["int8"] == "this one needs what is not here"
    assert reasons["fp16"]
    assert record_of(bundle)["chosen"] == "fp32"


@pytest.mark.slow
def test_what_is_slower_is_not_proven(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fastest is proven first, then the next if that fails, and no third; slower ones are only judged."""
    only(monkeypatch, {name: VARIANTS[name].build for name in ("int8-dynamic", "int8-weights", "fp16")})
    paced(monkeypatch, {"fp32": 1.0, "int8-dynamic": 1.2, "int8-weights": 9.0, "fp16": 2.0})
    proven = failing(monkeypatch, "int8-weights")
    record = record_of(export_run(tiny_run, tmp_path / "bundle", "auto").bundle)
    found = {each["variant"]: each for each in record["candidates"]}
    assert proven == ["fp32", "int8-weights", "fp16"]
    assert record["chosen"] == "fp16"
    assert (found["fp16"]["rows"], found["int8-dynamic"]["rows"]) == ("test", "validation")
    assert found["int8-dynamic"]["reason"] == "slower than fp16; not proven"
    assert found["int8-dynamic"]["compared"] > 0
    assert [each["proven"] for each in record["candidates"]] == [True, False, True, True]


@pytest.mark.slow
def test_two_variants_at_most_reach_the_test_rows(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third would have another chance to pass by luck: fp32 serves."""
    only(monkeypatch, {name: VARIANTS[name].build for name in ("int8-dynamic", "int8-weights", "fp16")})
    paced(monkeypatch, {"fp32": 1.0, "int8-dynamic": 2.0, "int8-weights": 9.0, "fp16": 3.0})
    proven = failing(monkeypatch, "int8-weights", "fp16")
    record = record_of(export_run(tiny_run, tmp_path / "bundle", "auto").bundle)
    assert proven == ["fp32", "int8-weights", "fp16"]
    assert record["chosen"] == "fp32"
    assert record["candidates"][1]["reason"] == "slower than the 2 that were; not proven"
    assert [each["level"] for each in record["candidates"]] == [LEVEL, None, LEVEL / 2, LEVEL / 2]


@pytest.mark.slow
def test_what_is_not_clearly_faster_is_not_judged(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fp32 serves although the median is above it: 2 % may be noise, and cost a second graph in the bundle."""
    only(monkeypatch, {"fp16": VARIANTS["fp16"].build})
    paced(monkeypatch, {"fp32": 1.0, "fp16": 1.02})
    result = export_run(tiny_run, tmp_path / "bundle", "auto")
    record = record_of(result.bundle)
    assert record["chosen"] == "fp32"
    assert record["candidates"][1]["compared"] is None
    assert "1.02 × at least, 1.1 required" in record["candidates"][1]["reason"]
    assert not Bundle.open(result.bundle).alternatives
    text = io.StringIO()
    Console(file=text, width=80).print(variants_table(result.candidates, "fp32"))
    assert "1.02" in text.getvalue()


def paced(monkeypatch: pytest.MonkeyPatch, ratios: dict[str, float]) -> None:
    """Replace the measured speeds."""

    def measure_pace(candidate: Predictor, *_: object) -> Pace:
        ratio = ratios[candidate.manifest.graph.variant]
        return Pace(ratio, ratio, (ratio, ratio))

    monkeypatch.setattr(search, "measure_pace", measure_pace)


def failing(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Let these variants' proofs fail; the list has the proven variants in order."""
    prove, asked = Workspace.prove, list[str]()

    def proven(workspace: Workspace, made: BuiltVariant, tried: int = 1) -> Parity:
        asked.append(made.variant.name)
        found = prove(workspace, made, tried)
        failed = replace(found, gates=[Gate("padding", False, 1.0, "0")])
        return failed if made.variant.name in names else found

    monkeypatch.setattr(Workspace, "prove", proven)
    return asked


def copied(run: Run, folder: Path) -> Run:
    """A copy of the run and its rows, which a test may change."""
    return Run(Path(shutil.copytree(run.root.parent, folder / "copy")) / run.root.name)


@pytest.mark.slow
def test_where_fp32_fails_nothing_is_written(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a proven fp32 there is no bundle."""
    only(monkeypatch, {})
    monkeypatch.setattr("export.proof.gates.MAX_LOGIT_DIFFERENCE", 1e-12)
    with pytest.raises(ProofFailed, match="no bundle was written"):
        export_run(copied(tiny_run, tmp_path), tmp_path / "out" / "bundle", "auto")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_changed_training_rows_are_refused(tiny_run: Run, tmp_path: Path) -> None:
    """Calibration requires the rows that the run was trained with."""
    run = copied(tiny_run, tmp_path)
    lock = read_lock(run)
    lock.data["splits"]["train"]["sha256"] = "0" * 64
    lock.write(run)
    with pytest.raises(InputError, match="train rows are not those that the run was trained with"):
        export_run(run, tmp_path / "bundle", "int8")


def test_the_table_fits_a_terminal(found: Export) -> None:
    """80 columns, one row for each variant, the selected one marked."""
    stream = io.StringIO()
    Console(file=stream, width=80).print(variants_table(found.candidates, found.parity.variant))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.strip().startswith(f"→ {found.parity.variant}") for line in lines)
    assert all(any(name in line for line in lines) for name in VARIANTS)


@pytest.mark.slow
def test_a_generating_model_has_fewer_variants(
    task_run: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generating model has only fp32 and dynamic int8; static scales are for encoders. Greedy answers judge it."""
    monkeypatch.setattr(search, "measure_pace", lambda *_: Pace(2.0, 2.0, (2.0, 2.0)))
    result = export_run(copied(task_run("text-generation"), tmp_path), tmp_path / "auto", "auto")
    assert [each.variant.name for each in result.candidates] == ["fp32", "int8-dynamic"]
    judgement = result.candidates[1].judgement
    assert judgement
    assert judgement.compared > 0


def only(monkeypatch: pytest.MonkeyPatch, makers: dict[str, Callable[..., dict[str, Any]]]) -> None:
    """Replace the variants by fp32 and these."""
    some = {"fp32": VARIANTS["fp32"]} | {name: replace(VARIANTS[name], build=make) for name, make in makers.items()}
    monkeypatch.setattr(search, "variants_for", lambda *_: some)
