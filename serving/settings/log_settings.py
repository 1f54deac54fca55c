"""Log lines as text or JSON. Code logs with the standard library; further fields are ``extra={"fields": {…}}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, cast

from serving.settings.environment import Environment, choice, flag

Format = Literal["text", "json"]


@dataclass(frozen=True)
class LogSettings:
    """What is logged. Texts and answers are not, by default.

    Attributes:
        format: of a line.
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
        """Raises InputError naming the variable."""
        format_ = cast(Format, choice(environment, "TUNESHIP_LOG_FORMAT", ("text", "json")))
        requests = flag(environment, "TUNESHIP_LOG_REQUESTS")
        return cls(
            format=format_,
            requests=format_ == "json" if requests is None else requests,
            inputs=flag(environment, "TUNESHIP_LOG_INPUTS") or False,
            labels=flag(environment, "TUNESHIP_LOG_LABELS") or False,
        )
