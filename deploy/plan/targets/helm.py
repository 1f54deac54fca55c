"""Values of the chart in deploy/helm/tuneship."""

from __future__ import annotations

from deploy.plan.deployment import Deployment
from deploy.plan.targets.base import Target, camel_case, exact_size, to_yaml

VALUES = "values-plan.yaml"
NAMES = (
    "name", "image", "bundle_digest", "memory_mb", "cpus", "threads", "timeout_seconds", "min_replicas", "max_replicas",
)  # fmt: skip


def values(deployment: Deployment) -> tuple[str, str]:
    return VALUES, to_yaml({camel_case(name): getattr(deployment, name) for name in NAMES})


def commands(deployment: Deployment) -> list[str]:
    return [
        f"helm lint --strict tuneship --values {VALUES}",
        f"helm upgrade --install --atomic {deployment.name} tuneship --values {VALUES}",
    ]


HELM = Target("helm", "helm", exact_size, values, commands, "a node's share")
