"""A plan of the tiny bundle with a fixed measurement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.plan.plan import Plan, Request
from deploy.plan.prices import Prices
from deploy.plan.targets import TARGETS
from deploy.plan.targets.base import ARTIFACT_REGISTRY, ECR
from serving.bundle.bundle import Bundle
from tests.deploy.measured import measurement_of

DIGEST = "@sha256:" + 64 * "a"
IMAGE = f"registry.example.com/team/support{DIGEST}"
IMAGES = {
    ECR: f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/support{DIGEST}",
    ARTIFACT_REGISTRY: f"europe-west1-docker.pkg.dev/project/team/support{DIGEST}",
}
"""By the registry that a target's service asks for."""

MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan(tiny_bundle: Path) -> MakePlan:
    """Gives a plan for a target; ``rate``, ``p99_ms`` and fields of the measurement can be set."""
    bundle = Bundle.open(tiny_bundle)

    def make(target: str, rate: float | None = None, p99_ms: float | None = None, **measured: Any) -> Plan:
        found = TARGETS[target]
        image = IMAGES[found.registry] if found.registry else IMAGE
        model_image = f"registry.example.com/models/support{DIGEST}" if found.model_image else None
        request = Request.of(target, image, "support", rate, p99_ms, model_image)
        return Plan(request, bundle, measurement_of(bundle.digest, **measured), Prices.read(), "not signed")

    return make
