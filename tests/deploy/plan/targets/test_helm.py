"""The chart's values: taken by its schema, and the same server as the overlay's."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deploy.plan.folder import write_plan
from tests.deploy.helm.test_chart import canonical
from tests.deploy.manifests import (
    VERSIONS,
    assert_valid,
    kustomize,
    pods,
    render_chart,
    violations,
    without_helm_labels,
)
from tests.deploy.plan.conftest import MakePlan

pytestmark = pytest.mark.slow


@pytest.fixture
def values(make_plan: MakePlan, tmp_path: Path) -> dict[str, object]:
    """Of the written file."""
    found: dict[str, object] = yaml.safe_load(
        write_plan(make_plan("helm", rate=3_000.0), tmp_path / "helm").read_text()
    )
    return found


def test_valid(values: dict[str, object]) -> None:
    """Rendered with them, the chart is what Kubernetes takes."""
    objects = render_chart(values)
    for version in VERSIONS:
        assert_valid(objects, version)
    assert [violations(pod) for pod in pods(objects)] == [set()]


def test_the_overlays_server(values: dict[str, object], make_plan: MakePlan, tmp_path: Path) -> None:
    """Both ways to Kubernetes make the same objects of one plan."""
    overlay = write_plan(make_plan("kubernetes", rate=3_000.0), tmp_path / "kubernetes").parent
    rendered = without_helm_labels(render_chart(values | {"name": "tuneship-support"}))
    assert canonical(rendered) == canonical(kustomize(overlay))
