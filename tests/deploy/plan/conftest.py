"""A plan of the tiny bundle with a fixed measurement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.capacity.replicas import HeldLoad, held_load
from deploy.plan import plan
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


@pytest.fixture(scope="session")
def simulate_once() -> Callable[..., HeldLoad]:
    """`held_load`, which runs for seconds, once for equal measurements."""
    found: dict[str, HeldLoad] = {}

    def held(*measured: Any) -> HeldLoad:
        key = repr(measured)
        if key not in found:
            found[key] = held_load(*measured)
        return found[key]

    return held


@pytest.fixture
def make_plan(tiny_bundle: Path, simulate_once: Callable[..., HeldLoad], monkeypatch: pytest.MonkeyPatch) -> MakePlan:
    """Gives a plan for a target; ``rate``, ``p99_ms`` and fields of the measurement can be set."""
    bundle = Bundle.open(tiny_bundle)
    monkeypatch.setattr(plan, "held_load", simulate_once)

    def make(target: str, rate: float | None = None, p99_ms: float | None = None, **measured: Any) -> Plan:
        found = TARGETS[target]
        image = IMAGES[found.registry] if found.registry else IMAGE
        model_image = f"registry.example.com/models/support{DIGEST}" if found.model_image else None
        request = Request.of(target, image, "support", rate, p99_ms, model_image)
        return Plan(request, bundle, measurement_of(bundle.digest, **measured), Prices.read(), "not signed")

    return make
