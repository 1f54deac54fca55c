"""What a target is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.plan.deployment import Deployment, Need, Size
from deploy.plan.prices import Prices

DEPLOY = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Registry:
    """``names``: of its images, without the digest; ``form``: the same in words."""

    names: re.Pattern[str]
    form: str


ECR = Registry(
    re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9._/-]+"),
    "ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY",
)
ARTIFACT_REGISTRY = Registry(
    re.compile(r"[a-z0-9-]+-docker\.pkg\.dev/[a-z0-9._/-]+"), "REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME"
)


@dataclass(frozen=True)
class Target:
    """Static files, and how one more file fills them in.

    Attributes:
        name: on the command line.
        folder: of deploy/, copied as it is.
        size: what it offers for a need; raises InputError.
        values: the name of the values file in the folder, and its text.
        commands: what to run in the written folder, one a line.
        service: the way of billing, the beginning of a `costs.Service`'s name.
        left_out: names in the folder that belong to other targets.
        registry: whose images the service takes; None: any.
        model_image: whether the bundle is in an image of its own, beside the server's.
        yours: variables that only the user can give.
    """

    name: str
    folder: str
    size: Callable[[Need, Prices], Size]
    values: Callable[[Deployment], tuple[str, str]]
    commands: Callable[[Deployment], list[str]]
    service: str
    left_out: tuple[str, ...] = ()
    registry: Registry | None = None
    model_image: bool = False
    yours: tuple[str, ...] = ()


def exact_size(need: Need, _: Prices) -> Size:
    """Where any size can be had."""
    return Size.exactly(need)


def terraform_values(*names: str) -> Callable[[Deployment], tuple[str, str]]:
    """Variables, which Terraform reads from a file of this name by itself."""
    return lambda deployment: ("terraform.tfvars.json", to_json(given(deployment, names)))


def given(deployment: Deployment, names: Sequence[str]) -> dict[str, str | int]:
    """Values by name, in this order; an alarm's ``p99_ms`` where one was asked for."""
    chosen = [name for name in names if name != "p99_ms" or deployment.p99_ms]
    return {name: getattr(deployment, name) for name in chosen}


def terraform_commands(_: Deployment) -> list[str]:
    return ["terraform init", "terraform plan -out=tfplan", "terraform apply tfplan"]


def to_json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def to_yaml(values: Mapping[str, Any]) -> str:
    """Of names and scalars: JSON's scalars are YAML's."""
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())


def camel_case(name: str) -> str:
    """As ``memoryMb``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def pascal_case(name: str) -> str:
    """As ``MemoryMb``."""
    return "".join(word.capitalize() for word in name.split("_"))
