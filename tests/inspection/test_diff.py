"""`tuneship diff`: every recorded difference, and whether the scores differ by more than chance."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from inspection.chance import test_scores as answer_and_test
from inspection.comparable import why_not_tested
from inspection.diff import Section, compare
from inspection.subject import Subject, open_subject
from tests import tiny
from tests.test_cli import assert_refused, tuneship_here
from trainer.run.run import Run


def sections(before: Path, after: Path) -> dict[str, Section]:
    """By name."""
    return {each.name: each for each in compare(open_subject(str(before)), open_subject(str(after)))}


@pytest.fixture(scope="module")
def weak_run(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on the same rows, trained too briefly to know anything."""
    folder = tmp_path_factory.mktemp("weak")
    recipe = tiny.write_recipe(folder, tiny_backbone, training={"num_train_epochs": 1, "learning_rate": 1e-6})
    options = ("--set", "training.head_learning_rate=1e-6")
    result = tuneship_here("train", recipe, "--output", folder / "run", *options)
    assert result.returncode == 0, result.stderr
    return Run.open(folder / "run")


def test_a_run_and_itself(tiny_run: Run) -> None:
    """Nothing differs."""
    found = sections(tiny_run.root, tiny_run.root)
    assert all(section.equal for section in found.values())
    assert list(found) == ["task", "recipe", "base model", "data", "labels", "versions", "size"]


def test_a_run_and_its_bundle(tiny_run: Run, tiny_bundle: Path) -> None:
    """Recipe, model and rows are those of the run, as far as a bundle records them."""
    found = sections(tiny_run.root, tiny_bundle)
    assert all(section.equal for section in found.values()), found
    assert "a bundle records" in found["recipe"].note


def test_two_variants(tiny_bundle: Path, tiny_int8_bundle: Path) -> None:
    """Their graphs and sizes differ, and nothing else."""
    found = sections(tiny_bundle, tiny_int8_bundle)
    assert [name for name, section in found.items() if not section.equal] == ["graphs", "size"]
    assert found["graphs"].lines == ['variants: "fp32" in A, "int8" in B']


def test_bundles_with_other_files(tiny_int8_bundle: Path, tiny_fallback_bundle: Path) -> None:
    """The variant that both have has the same graph in both."""
    found = sections(tiny_int8_bundle, tiny_fallback_bundle)
    assert found["graphs"].lines == ['variants: "int8" in A, "int8, then fp32" in B']


@pytest.mark.slow
def test_another_recipe(tiny_run: Run, weak_run: Run) -> None:
    """Each key with both values."""
    found = sections(tiny_run.root, weak_run.root)
    assert "training.num_train_epochs: 12 in A, 1 in B" in found["recipe"].lines
    assert found["data"].equal


@pytest.mark.slow
def test_more_than_chance(tiny_run: Run, weak_run: Run) -> None:
    """A model that knows nothing is worse by more than chance; a model is not different from itself."""
    trained, weak = (open_subject(str(each.root)) for each in (tiny_run, weak_run))
    worse = answer_and_test(trained, weak, None, 1)
    assert worse.beyond_chance
    assert worse.change.high < 0
    assert worse.lost
    better = answer_and_test(weak, trained, None, 1)
    assert better.change.low > 0
    same = answer_and_test(trained, trained, None, 1)
    assert not same.beyond_chance
    assert (same.lost, same.won) == (0, 0)


@pytest.mark.slow
def test_the_command(tiny_run: Run, tiny_bundle: Path, tiny_int8_bundle: Path) -> None:
    """Two bundles need the run with their rows; differences are no failure."""
    untested = tuneship_here("diff", tiny_bundle, tiny_int8_bundle)
    assert untested.returncode == 0, untested.stderr
    assert "give the run of one of them as --rows RUN" in untested.stdout
    tested = tuneship_here("diff", tiny_bundle, tiny_int8_bundle, "--rows", tiny_run.root)
    assert tested.returncode == 0, tested.stderr
    assert "no more than chance can explain" in tested.stdout
    assert "rows lost / won" in tested.stdout
    assert max(len(line) for line in tested.stdout.splitlines()[2:]) <= 80
    found = json.loads(tuneship_here("diff", tiny_run.root, tiny_bundle, "--quick", "--json").stdout)
    assert (found["test"], found["not_tested"]) == (None, "--quick was given")


def altered(subject: Subject, folder: Path) -> Subject:
    """The same run with other test rows."""
    record = json.loads((subject.root / "run.json").read_text())
    record["data"]["splits"]["test"]["sha256"] = "0" * 64
    copy = Path(shutil.copytree(subject.root, folder / "run"))
    (copy / "run.json").write_text(json.dumps(record))
    return open_subject(str(copy))


def test_what_cannot_be_tested(tiny_run: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    """Other test rows, and no rows."""
    run, bundle = open_subject(str(tiny_run.root)), open_subject(str(tiny_bundle))
    assert why_not_tested(run, bundle, None) == ""
    assert "bundles keep no test rows" in why_not_tested(bundle, bundle, None)
    assert why_not_tested(bundle, bundle, tiny_run.root) == ""
    assert "the test rows differ" in why_not_tested(run, altered(run, tmp_path), None)


def test_a_run_that_was_changed(tiny_run: Run, tmp_path: Path) -> None:
    """Its answers would not be those that it records."""
    copy = Path(shutil.copytree(tiny_run.root, tmp_path / "run"))
    lines = (copy / "evaluation.jsonl").read_text().splitlines()
    (copy / "evaluation.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    assert_refused(tuneship_here("diff", copy, copy), "is not as it was trained")
