"""AWS Lambda, by SAM and by Terraform."""

from __future__ import annotations

import json

from deploy.plan.deployment import Deployment, Need, Size
from deploy.plan.limits import lambda_size
from deploy.plan.prices import Prices
from deploy.plan.targets.base import ECR, Target, given, pascal_case, terraform_commands, to_json

NAMES = (
    "name", "image", "bundle_digest", "memory_mb", "threads", "timeout_seconds", "log_retention_days", "p99_ms",
)  # fmt: skip


def parameters(deployment: Deployment) -> dict[str, str | int]:
    """``max_replicas`` is the reserved concurrency."""
    return given(deployment, NAMES) | {"max_replicas": deployment.concurrency}


def sam_values(deployment: Deployment) -> tuple[str, str]:
    """SAM's options, and the template's parameters among them."""
    pascal = {pascal_case(name): value for name, value in parameters(deployment).items()}
    if "P99Ms" in pascal:
        pascal["P99Milliseconds"] = pascal.pop("P99Ms")
    lines = [
        "version = 0.1",
        "",
        "[default.global.parameters]",
        f"stack_name = {json.dumps(deployment.name)}",
        "",
        "[default.deploy.parameters]",
        'capabilities = "CAPABILITY_IAM"',
        "confirm_changeset = true",
        "parameter_overrides = [",
        *(f"  {json.dumps(f'{name}={value}')}," for name, value in pascal.items()),
        "]",
    ]
    return "samconfig.toml", "\n".join(lines) + "\n"


def sam_commands(deployment: Deployment) -> list[str]:
    repository = deployment.image_name
    return ["sam validate --lint", f"sam deploy --image-repository {repository}"]


def terraform_values(deployment: Deployment) -> tuple[str, str]:
    return "terraform.tfvars.json", to_json(parameters(deployment))


def _size(need: Need, _: Prices) -> Size:
    return lambda_size(need)


LAMBDA_SAM = Target(
    "lambda-sam", "lambda", _size, sam_values, sam_commands, "AWS Lambda", left_out=("terraform",), registry=ECR
)
LAMBDA_TERRAFORM = Target(
    "lambda-terraform",
    "lambda/terraform",
    _size,
    terraform_values,
    terraform_commands,
    "AWS Lambda",
    left_out=("tests",),
    registry=ECR,
)
