"""What is logged and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, cast

from serving.settings.environment import Environment, choice, flag

Format = Literal["text", "json"]


@dataclass(frozen=True)
class LogSettings:
    """By default no texts and no answers.

    Attributes:
        requests: whether each request gets a line; by default only in JSON.
        inputs: whether that line has the inputs.
        labels: whether it has the predicted labels.
    """

    format: Format = "text"
    requests: bool = False
    inputs: bool = False
    labels: bool = False

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        format_ = cast(Format, choice(environment, "TUNESHIP_LOG_FORMAT", ("text", "json")))
        requests = flag(environment, "TUNESHIP_LOG_REQUESTS")
        return cls(
            format=format_,
            requests=format_ == "json" if requests is None else requests,
            inputs=flag(environment, "TUNESHIP_LOG_INPUTS") or False,
            labels=flag(environment, "TUNESHIP_LOG_LABELS") or False,
        )
