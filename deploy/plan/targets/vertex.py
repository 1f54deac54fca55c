"""A Vertex AI endpoint, by Terraform."""

from __future__ import annotations

from deploy.plan.deployment import Need, Size
from deploy.plan.prices import Prices
from deploy.plan.targets.base import ARTIFACT_REGISTRY, Target, terraform_commands, terraform_values

values = terraform_values(
    "name", "image", "bundle_digest", "instance_type", "threads", "min_replicas", "max_replicas", "timeout_seconds"
)


def _size(need: Need, prices: Prices) -> Size:
    return prices.vertex.size(need)


VERTEX = Target(
    "vertex", "vertex", _size, values, terraform_commands, "Vertex AI", registry=ARTIFACT_REGISTRY, yours=("project",)
)
