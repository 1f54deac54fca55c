"""An ECS service on Fargate, by Terraform."""

from __future__ import annotations

from deploy.plan.deployment import Need, Size
from deploy.plan.limits import fargate_size
from deploy.plan.prices import Prices
from deploy.plan.targets.base import Target, terraform_commands, terraform_values

values = terraform_values(
    "name", "image", "bundle_digest", "memory_mb", "cpus", "threads", "concurrency", "min_replicas", "max_replicas",
    "log_retention_days", "p99_ms",
)  # fmt: skip
"""Without ``timeout_seconds``, which is the load balancer's there."""


def _size(need: Need, _: Prices) -> Size:
    return fargate_size(need)


ECS = Target(
    "ecs", "ecs", _size, values, terraform_commands, "AWS Fargate", left_out=("tests",), yours=("vpc_id", "subnet_ids")
)
