"""What hosting platforms tell in variables and folders of their own, as Tuneship's variables.

- Amazon SageMaker: ``/opt/ml/model``, ``SAGEMAKER_…``; it asks port 8080 and sets no PORT.
  https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html,
  https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
- Vertex AI: ``AIP_…``. https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements

Cloud Run and Knative set ``PORT`` and nothing else that matters here; of AWS Lambda see `settings.available_cpus`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from serving.errors import InputError
from serving.settings.environment import Environment, choice, flag, positive

DEFAULT_BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
"""Beside the package, as in the image and the Bento."""

DEFAULT_PORT = 3000
INFERENCE_PORT = "8080"
MODEL_FOLDER = Path("/opt/ml/model")
"""Where SageMaker unpacks ``model.tar.gz``."""

BATCH_SECONDS = "3600"
"""The longest that a batch transform job waits for an answer (``InvocationsTimeoutInSeconds``)."""

MOST_TRANSFORM_MB = 100
"""Of all requests that a batch transform job sends at once."""

SHORTEST_LINE = len('{"inputs":"a"}\n')

ROUTE = re.compile(r"/[A-Za-z0-9._~:@!$&'()*+,;=/-]{0,500}")
"""What stands for itself in a path."""


@dataclass(frozen=True)
class Platform:
    """What a platform asks of the endpoints.

    Attributes:
        health_route: a further path of the health check; empty for none.
        predict_route: of predictions.
        transforms: a batch transform job sends files line by line, and would stop at the first refusal.
    """

    health_route: str = ""
    predict_route: str = ""
    transforms: bool = False

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Raises InputError."""
        return cls(
            health_route=_route(environment, "AIP_HEALTH_ROUTE"),
            predict_route=_route(environment, "AIP_PREDICT_ROUTE"),
            transforms=flag(environment, "SAGEMAKER_BATCH") or False,
        )


def with_platform(environment: Environment) -> dict[str, str]:
    """The environment, and what the platform says for variables that are not set; raises InputError."""
    found = dict(environment)
    for implied in (_vertex(environment), _sagemaker(environment), _batch_transform(environment)):
        found |= {name: value for name, value in implied.items() if value and not found.get(name)}
    return found


def served_bundle(environment: Environment = os.environ) -> str:
    """The path or target that is served where no other is named."""
    return with_platform(environment).get("TUNESHIP_BUNDLE") or str(DEFAULT_BUNDLE)


def listening_port(environment: Environment = os.environ) -> int:
    """Raises InputError."""
    return positive(with_platform(environment), "PORT", 65_535) or DEFAULT_PORT


def _vertex(environment: Environment) -> Mapping[str, str]:
    return {
        "PORT": environment.get("AIP_HTTP_PORT", ""),
        "TUNESHIP_BUNDLE": environment.get("AIP_STORAGE_URI", ""),
    }


def _sagemaker(environment: Environment) -> Mapping[str, str]:
    """A folder that holds anything is the model, so that a wrong archive is told and nothing else served."""
    has_model = MODEL_FOLDER.is_dir() and any(MODEL_FOLDER.iterdir())
    port = INFERENCE_PORT if has_model or flag(environment, "SAGEMAKER_BATCH") else ""
    return {
        "PORT": environment.get("SAGEMAKER_BIND_TO_PORT") or port,
        "TUNESHIP_BUNDLE": str(MODEL_FOLDER) if has_model else "",
    }


def _batch_transform(environment: Environment) -> Mapping[str, str]:
    """A job waits for its answers. Several records a request are as many as the payload holds."""
    if not flag(environment, "SAGEMAKER_BATCH"):
        return {}
    strategy = choice(environment, "SAGEMAKER_BATCH_STRATEGY", ("SINGLE_RECORD", "MULTI_RECORD"))
    megabytes = positive(environment, "SAGEMAKER_MAX_PAYLOAD_IN_MB", MOST_TRANSFORM_MB)
    limits = dict.fromkeys(("TUNESHIP_WAIT_SECONDS", "TUNESHIP_GENERATION_SECONDS"), BATCH_SECONDS)
    if megabytes:
        limits["TUNESHIP_MAX_BODY_BYTES"] = str(megabytes * 2**20)
    if strategy == "MULTI_RECORD" and megabytes:
        size = megabytes * 2**20
        limits["TUNESHIP_MAX_INPUTS"] = str(size // SHORTEST_LINE)
        # One request may fill half of the queue; in overlapping windows a token counts twice.
        limits |= dict.fromkeys(("TUNESHIP_MAX_QUEUE", "TUNESHIP_MAX_QUEUE_TOKENS"), str(4 * size))
        limits["TUNESHIP_MAX_BODIES_BYTES"] = str(2 * MOST_TRANSFORM_MB * 2**20)
    return limits


def _route(environment: Environment, name: str) -> str:
    text = environment.get(name, "")
    if text and not ROUTE.fullmatch(text):
        raise InputError(
            f"{name} is {text!r}; a path such as /predict is accepted, with no % and no braces", field=name
        )
    return text


if __name__ == "__main__":  # for the image's entry point
    print(listening_port())
