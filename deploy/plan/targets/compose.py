"""Docker Compose: its .env file."""

from __future__ import annotations

from deploy.plan.deployment import Deployment
from deploy.plan.targets.base import Target, exact_size

NAMES = ("image", "cpus", "memory_mb", "threads", "timeout_seconds")


def values(deployment: Deployment) -> tuple[str, str]:
    variables = {"COMPOSE_PROJECT_NAME": deployment.name, **{name.upper(): getattr(deployment, name) for name in NAMES}}
    return ".env", "".join(f"{name}={value}\n" for name, value in variables.items())


def commands(_: Deployment) -> list[str]:
    return [
        "openssl rand -hex 24 > grafana-password",
        "docker compose config --quiet",
        "docker compose up --detach --wait",
    ]


COMPOSE = Target("compose", "compose", exact_size, values, commands, "a node's share")
