"""The workflows of a new project, run here: what is good is shipped, what is worse or altered is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from serving.bundle.bundle import Bundle
from templates.new import create_project
from tests.templates.conftest import IMAGE
from tests.templates.workflows import Runner, StepFailed

pytestmark = pytest.mark.slow(first=True)
MakeRunner = Callable[..., Runner]


@pytest.fixture(scope="module")
def shipped(runner_of: MakeRunner) -> Runner:
    """A first version, from rows to production."""
    runner = runner_of("first")
    runner.run_job("gates.yaml", "prove")
    runner.run_job("ship.yaml", "publish")
    runner.run_job("ship.yaml", "deploy")
    return runner


@pytest.fixture(scope="module")
def production(shipped: Runner) -> str:
    """Where the bundle in production is."""
    return f"{shipped.variables['BUNDLES']}:production"


def test_a_good_model_is_shipped(shipped: Runner, production: str) -> None:
    """Every job ends well; what is in production is the bundle that was proven, signed, with its plan and report."""
    proven, there = Bundle.open(shipped.artifact("bundle")), Bundle.open(Path(production.removeprefix("file://")))
    assert there.digest == proven.digest
    assert (there.root / "model.sig").is_file()
    assert shipped.outputs["publish"]["bundle"].endswith(f"#sha256={proven.digest}")
    plan = (next(shipped.home.glob("deploy-*")) / "deployments" / "plan" / "PLAN.md").read_text()
    assert IMAGE in plan
    assert proven.digest in plan
    assert plan in shipped.summary
    assert "accuracy" in shipped.summary
    assert "Compare with production" not in shipped.ran["prove"]


def test_as_good_a_model_passes(shipped: Runner, production: str) -> None:
    """The bundle in production is no worse than itself; the summary shows the comparison."""
    runner = replace(shipped, variables={**shipped.variables, "PRODUCTION": production}, summary="", ran={})
    [checkout] = shipped.home.glob("prove-*")
    runner.run_job("gates.yaml", "prove", only="Compare with production", checkout=checkout)
    assert "rows lost / won: 0 / 0" in runner.summary
    assert "passed" in runner.summary


def test_a_worse_model_is_held(runner_of: MakeRunner, production: str) -> None:
    """A training of hardly a step passes its proof and fails the comparison: no bundle is handed on."""
    runner = runner_of(
        "worse", {"num_train_epochs": 1, "learning_rate": 1.0e-7, "head_learning_rate": 1.0e-7}, PRODUCTION=production
    )
    with pytest.raises(StepFailed) as failure:
        runner.run_job("gates.yaml", "prove")
    assert failure.value.name == "Compare with production"
    assert "the candidate is worse than production" in failure.value.output
    assert re.search(r"its change, 95 % interval: -\d", failure.value.output)
    assert not runner.artifact("bundle").exists()


def test_the_rows_are_sound(runner_of: MakeRunner) -> None:
    """The template's own rows pass their gate, with the template's own base model."""
    runner = runner_of("rows")
    create_project(runner.home / "its-model", "text-classification")
    runner = replace(runner, project=runner.home / "its-model", replaced={})
    runner.run_job("gates.yaml", "prove", only="Check the rows")
    assert runner.ran["prove"] == ["Check the rows"]


def test_an_altered_bundle_is_held(shipped: Runner, runner_of: MakeRunner) -> None:
    """A bundle that was altered between two jobs is neither signed nor pushed."""
    runner = runner_of("altered")
    artifact = runner.artifact("bundle")
    artifact.mkdir(parents=True)
    for path in shipped.artifact("bundle").iterdir():
        (artifact / path.name).write_bytes(path.read_bytes())
    (artifact / "tokenizer.json").write_bytes((artifact / "tokenizer.json").read_bytes() + b" ")
    with pytest.raises(StepFailed, match=r"tokenizer\.json") as failure:
        runner.run_job("ship.yaml", "publish")
    assert failure.value.name == "Sign"
    assert "Push the bundle" not in runner.ran["publish"]
