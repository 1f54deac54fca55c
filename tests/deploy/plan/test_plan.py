"""A plan: sizes with their reasons, a page, a folder that is written whole, the same one each time."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path

import pytest

from deploy.plan.folder import write_plan
from deploy.plan.plan import Request
from deploy.plan.targets import TARGETS
from serving.errors import InputError
from tests.deploy.plan.conftest import IMAGE, MakePlan


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_plan_twice(make_plan: MakePlan, tmp_path: Path, target: str) -> None:
    """One measurement gives one folder, byte for byte."""
    for name in ("one", "two"):
        write_plan(make_plan(target, rate=800.0), tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("target", TARGETS)
def test_static_files_are_copied_unchanged(make_plan: MakePlan, tmp_path: Path, target: str) -> None:
    """The values file, the page and the measurement are all that is new; no cache or state comes along."""
    values = write_plan(make_plan(target), tmp_path / "plan")
    folder = Path("deploy") / TARGETS[target].folder
    for name, content in contents(tmp_path / "plan").items():
        if tmp_path / "plan" / name != values and name not in {"PLAN.md", "measurement.json"}:
            assert content == (folder / name).read_bytes(), name
            assert "__pycache__" not in name


@pytest.mark.parametrize("target", TARGETS)
def test_the_page(make_plan: MakePlan, tmp_path: Path, target: str) -> None:
    """PLAN.md names bundle, image, measured figures, costs and the next commands, and that nothing is deployed."""
    plan = make_plan(target, rate=800.0)
    write_plan(plan, tmp_path / "plan")
    page = (tmp_path / "plan" / "PLAN.md").read_text()
    for text in (
        "Rendered and validated, not deployed", plan.bundle.digest, plan.request.image, "not signed", "300 MiB",
        "AWS Lambda", "2026-06-17", "## Next", *plan.request.target.commands(plan.deployment),
    ):  # fmt: skip
        assert text in page, text


def test_a_load_decides_the_replicas(make_plan: MakePlan) -> None:
    """More requests need more replicas, one of them spare; without a load there are two."""
    few, many = make_plan("kubernetes", rate=10.0), make_plan("kubernetes", rate=5_000.0)
    assert few.held is not None
    assert many.held == few.held
    assert few.replicas == 2
    assert (many.replicas - 2) * few.held.rate < 5_000 <= (many.replicas - 1) * few.held.rate
    assert many.deployment.max_replicas >= many.deployment.min_replicas
    assert make_plan("kubernetes").replicas == 2


@pytest.mark.slow
def test_a_target_that_cannot_be_held(make_plan: MakePlan) -> None:
    """A p99 below a lone request's time is refused."""
    with pytest.raises(InputError, match="cannot be held"):
        _ = make_plan("kubernetes", p99_ms=0.5).held


def test_generated_texts(make_plan: MakePlan) -> None:
    """They are planned by the measured rate; a load for them is refused, as it is not simulated."""
    plan = make_plan("helm", calls=[])
    assert plan.replica_rate == 500.0
    assert plan.deployment.concurrency == 32
    with pytest.raises(InputError, match="generates texts"):
        _ = make_plan("helm", rate=5.0, calls=[]).replicas


def test_memory_has_a_margin(make_plan: MakePlan) -> None:
    """A quarter more than the peak, and the bodies that the server takes."""
    assert make_plan("kubernetes").deployment.memory_mb == 448  # 1.25 × 300 + 64, in steps of 64
    assert make_plan("kubernetes", memory_bytes=1000 * 2**20).deployment.memory_mb == 1344


def test_warnings(make_plan: MakePlan) -> None:
    """Old prices and a shared CPU are told."""
    plan = make_plan("kubernetes", load_apart=False)
    assert plan.service is not None
    day = plan.service.dated.date
    assert [warning for warning in plan.warnings(day) if "days old" in warning] == []
    later = plan.warnings(date(day.year + 1, day.month, day.day))
    assert [("days old" in each, "shared the server's CPUs" in each) for each in later] == [
        (True, False),
        (False, True),
    ]


def test_json(make_plan: MakePlan) -> None:
    """Every figure of the page, for programs."""
    found = json.loads(json.dumps(make_plan("helm", rate=100.0).to_json()))
    assert found["deployment"]["image"] == IMAGE
    assert found["replica"]["rate"] > 0
    assert found["cost_per_million_requests"]["AWS Fargate"]["at_load"] > 0
    assert found["break_even"]["requests_per_second"] > 0


def test_a_folder_with_something_in_it(make_plan: MakePlan, tmp_path: Path) -> None:
    """It is refused and left as it was; an empty one is taken."""
    used = tmp_path / "used"
    used.mkdir()
    write_plan(make_plan("helm"), used)
    before = contents(used)
    with pytest.raises(InputError, match="is not empty"):
        write_plan(make_plan("helm", rate=5.0), used)
    assert contents(used) == before


def test_nothing_half_written(make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up leaves neither a folder nor a part of one."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deploy.plan.folder.Path.write_text", fail)
    with pytest.raises(OSError, match="No space"):
        write_plan(make_plan("helm"), tmp_path / "plan")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_target() -> None:
    """The message lists the known ones."""
    with pytest.raises(InputError, match=r"'mainframe': accepted are .*helm"):
        Request.of("mainframe", IMAGE)


def test_a_bundles_name_stays_in_its_cell(make_plan: MakePlan, tmp_path: Path) -> None:
    """Whatever it holds."""
    plan = make_plan("helm")
    named = plan.bundle.manifest.model_copy(update={"name": "a | b\n# c"})
    write_plan(dataclasses.replace(plan, bundle=dataclasses.replace(plan.bundle, manifest=named)), tmp_path / "plan")
    page = (tmp_path / "plan" / "PLAN.md").read_text()
    assert r"| bundle | a \| b # c, " in page
