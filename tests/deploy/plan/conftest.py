"""A plan of the tiny bundle with a fixed measurement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.plan.plan import Plan, Request
from deploy.plan.prices import Prices
from serving.bundle.bundle import Bundle
from tests.deploy.measured import measurement_of

IMAGE = "registry.example.com/team/support@sha256:" + 64 * "a"

MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan(tiny_bundle: Path) -> MakePlan:
    """Gives a plan for a target; ``rate``, ``p99_ms`` and fields of the measurement can be set."""
    bundle = Bundle.open(tiny_bundle)

    def make(target: str, rate: float | None = None, p99_ms: float | None = None, **measured: Any) -> Plan:
        request = Request.of(target, IMAGE, "support", rate, p99_ms)
        return Plan(request, bundle, measurement_of(bundle.digest, **measured), Prices.read(), "not signed")

    return make
