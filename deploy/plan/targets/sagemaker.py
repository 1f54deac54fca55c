"""A SageMaker endpoint, by Terraform."""

from __future__ import annotations

from deploy.plan.deployment import Need, Size
from deploy.plan.prices import Prices
from deploy.plan.targets.base import ECR, Target, terraform_commands, terraform_values

values = terraform_values(
    "name", "image", "bundle_digest", "instance_type", "threads", "concurrency", "min_replicas", "max_replicas",
    "timeout_seconds", "log_retention_days", "p99_ms",
)  # fmt: skip


def _size(need: Need, prices: Prices) -> Size:
    return prices.sagemaker.size(need)


SAGEMAKER = Target("sagemaker", "sagemaker", _size, values, terraform_commands, "SageMaker", registry=ECR)
