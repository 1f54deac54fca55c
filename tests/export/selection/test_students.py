"""``--variant auto --student``: a student serves for its teacher where that is faster, and its loss proven small."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from export.bundle.card import check_card
from export.console import variants_table
from export.exporter import export_run
from export.proof.statistics.metric_change import LEVEL
from export.selection import search
from export.selection.candidate import Candidate, select_best
from export.selection.speed import Pace
from export.selection.students import open_students
from export.variants.registry import VARIANTS
from export.workspace import Workspace
from serving.bundle.bundle import Bundle, sha256_of
from serving.errors import InputError
from serving.inference.predictor import Predictor
from tests.test_cli import assert_refused, tuneship_here
from tests.trainer.conftest import fit
from tests.trainer.fit.distil.test_students import student_of
from trainer.run.lock import read_lock
from trainer.run.run import Run

RunOf = Callable[[str], Run]


def make_student(folder: Path, teacher: Run, name: str, epochs: int, **sections: Any) -> Run:
    """A run that was distilled from ``teacher``."""
    home = folder / f"{name} data"
    home.mkdir()
    training = {"num_train_epochs": epochs, **sections.pop("training", {})}
    return fit(student_of(home, teacher, training=training, **sections), folder / name)


def set_paces(monkeypatch: pytest.MonkeyPatch, paces: dict[tuple[str, str], float]) -> None:
    """By run and variant, in place of those measured; others are as fast as fp32."""

    def measure_pace(candidate: Predictor, *_: object) -> Pace:
        ratio = paces.get((candidate.manifest.name, candidate.manifest.graph.variant), 1.0)
        return Pace(ratio, ratio, (ratio, ratio))

    monkeypatch.setattr(search, "measure_pace", measure_pace)


@pytest.mark.slow
def test_the_fastest_student_that_keeps_the_score_serves(
    task_run: RunOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bundle, card and manifest say which student serves for which run, what it loses and how fast it is.

    A faster one that learned nothing is kept from the test rows, and listed with the reason.
    """
    teacher = task_run("text-classification")
    good = make_student(tmp_path, teacher, "good", 6)
    idle = {"learning_rate": 1e-9, "head_learning_rate": 1e-9}
    bad = make_student(tmp_path, teacher, "bad", 1, distil={"student": "static", "layers": None}, training=idle)
    some = {name: VARIANTS[name] for name in ("fp32", "int8-dynamic")}
    monkeypatch.setattr(search, "variants_for", lambda *_: some)
    own, dynamic = teacher.root.name, "int8-dynamic"
    paces = {(own, dynamic): 2.0, ("good", "fp32"): 2.0, ("good", dynamic): 3.0, ("bad", "fp32"): 9.0}
    set_paces(monkeypatch, paces)
    found = export_run(teacher, tmp_path / "bundle", "auto", students=[bad.root, good.root], max_metric_drop=0.35)

    opened = Bundle.open(tmp_path / "bundle")
    said, change = opened.manifest.serves_for, found.parity.teacher
    assert said is not None
    assert change is not None
    assert (said.run, said.lock_sha256) == (own, sha256_of(teacher.lock))
    assert (opened.manifest.name, opened.manifest.graph.variant, said.speed) == ("good", dynamic, 3.0)
    assert said.run_score == teacher.read_record()["metrics"]["test"]["accuracy"]
    assert (said.score, said.change_interval) == (found.parity.score, (change.low, change.high))
    assert [each.manifest.graph.variant for each in opened.alternatives] == ["fp32"]
    assert Predictor.load(opened).predict(["where is the blue lamp?"])
    card = check_card(opened)
    assert f"**A student serves.** It answers in place of the run `{own}`" in card
    assert "3.00 × the run's own fp32 graph" in card
    assert "| good: int8-dynamic (served) |" in card

    record = json.loads((tmp_path / "bundle" / "variants.json").read_text(encoding="utf-8"))
    by_name = {(each.get("student"), each["variant"]): each for each in record["candidates"]}
    assert (record["chosen"], record["chosen_student"]) == (dynamic, "good")
    assert by_name["good", dynamic]["level"] == by_name["good", "fp32"]["level"] == LEVEL / 2
    assert by_name["good", "fp32"]["holds"]
    assert by_name[None, dynamic]["reason"] == "slower than good: int8-dynamic; not proven"
    assert by_name["bad", "fp32"]["reason"].startswith("accuracy on validation rows ")
    assert by_name["bad", dynamic]["reason"].startswith("not clearly faster than fp32")
    table = io.StringIO()
    Console(file=table, width=80).print(variants_table(found.candidates, found.served))
    assert any(line.strip().startswith("→ good: int8-dynamic") for line in table.getvalue().splitlines())

    paces[("good", dynamic)] = paces[("good", "fp32")] = 2.1  # not clearly faster than the run's own int8
    set_paces(monkeypatch, paces)
    export_run(teacher, tmp_path / "bundle", "auto", students=[good.root])
    again = Bundle.open(tmp_path / "bundle").manifest
    assert (again.graph.variant, again.serves_for) == (dynamic, None)


@pytest.mark.parametrize(("ratio", "chosen"), [(2.1, "int8"), (2.3, "student: int8")])
def test_a_student_must_be_clearly_faster_than_the_runs_own_variant(ratio: float, chosen: str) -> None:
    """It loses more than a variant does, for which the noise of a measurement is no reason."""
    student = cast(Workspace, SimpleNamespace(run=SimpleNamespace(root=Path("student"))))
    own = [
        Candidate(VARIANTS[name], pace=Pace(speed, speed, (speed, speed)))
        for name, speed in {"fp32": 1.0, "int8": 2.0}.items()
    ]
    theirs = Candidate(VARIANTS["int8"], pace=Pace(ratio, ratio, (ratio, ratio)), student=student)
    assert select_best([*own, theirs]).name == chosen


def test_another_runs_student_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    """The lock tells: no teacher at all, another one, or this one before it was trained again."""
    student = copied(tiny_run, tmp_path)
    with pytest.raises(InputError, match=r"is no student: its lock names no teacher; train it with distil\.teacher="):
        open_students(tiny_run, [student.root])
    name_teacher(student, "another", "0" * 64)
    with pytest.raises(InputError, match=r"was not distilled from this .*: its lock names another with another sha256"):
        open_students(tiny_run, [student.root])
    name_teacher(student, tiny_run.root.name, "0" * 64)
    with pytest.raises(InputError, match="it was trained again since"):
        open_students(tiny_run, [student.root])
    with pytest.raises(InputError, match=r"--student: .*nowhere: there is no such run folder"):
        open_students(tiny_run, [tmp_path / "nowhere"])


def test_a_private_runs_students_are_refused(tiny_run: Run, tmp_path: Path) -> None:
    """They have read the training rows without noise, and would be served for a run with an ε."""
    run = Run(Path(shutil.copytree(tiny_run.root, tmp_path / "private")))
    run.write_record(run.read_record() | {"privacy": {"epsilon": 3.0}})
    with pytest.raises(InputError, match="is a private training, and its students"):
        open_students(run, [tiny_run.root])


def test_a_student_is_measured_on_its_teachers_rows(tiny_run: Run, tmp_path: Path) -> None:
    """The same test rows, with labels, and each student once."""
    student = copied(tiny_run, tmp_path)
    name_teacher(student, tiny_run.root.name, sha256_of(tiny_run.lock))
    assert [each.root for each in open_students(tiny_run, [student.root])] == [student.root]
    with pytest.raises(InputError, match="is given twice"):
        open_students(tiny_run, [student.root, student.root])
    lines = tiny_run.evaluation.read_text(encoding="utf-8").splitlines(keepends=True)
    fewer = Run(tmp_path / "fewer")
    shutil.copytree(tiny_run.root, fewer.root)
    fewer.evaluation.write_text("".join(lines[1:]), encoding="utf-8")
    with pytest.raises(InputError, match="has other test rows than its teacher; train it with the same data section"):
        open_students(fewer, [student.root])
    bare = [json.dumps(json.loads(line) | {"target": None}) + "\n" for line in lines]
    fewer.evaluation.write_text("".join(bare), encoding="utf-8")
    with pytest.raises(InputError, match="have no labels, so that nothing tells what a student loses"):
        open_students(fewer, [student.root])


def test_options_that_would_do_nothing_are_refused(tiny_run: Run, tmp_path: Path) -> None:
    """A student beside a variant that is named, and a budget for what loses nothing; nothing is written."""
    with pytest.raises(InputError, match="--student: is for --variant auto"):
        export_run(tiny_run, tmp_path / "bundle", "int8", students=[tiny_run.root])
    with pytest.raises(InputError, match="--max-metric-drop: fp32 loses nothing"):
        export_run(tiny_run, tmp_path / "bundle", "fp32", max_metric_drop=0.01)
    for option, value in (("--student", tiny_run.root), ("--max-metric-drop", 0.0)):
        hub = "export", tiny_run.root, "-o", tmp_path / "bundle", "--layout", "hub", option, value
        assert_refused(tuneship_here(*hub), f"{option}: is for bundles")
    auto = "export", tiny_run.root, "-o", tmp_path / "bundle", "--variant", "auto", "--student", tiny_run.root
    assert_refused(tuneship_here(*auto), "is no student: its lock names no teacher")
    assert not (tmp_path / "bundle").exists()


def copied(run: Run, folder: Path) -> Run:
    """A copy of the run and its rows, which a test may change."""
    return Run(Path(shutil.copytree(run.root.parent, folder / "copy")) / run.root.name)


def name_teacher(run: Run, name: str, sha256: str) -> None:
    """In the run's lock."""
    lock = read_lock(run)
    lock.model["teachers"] = [{"id": name, "sha256": sha256}]
    lock.write(run)
