"""Log lines for people or, as JSON, for machines. Whatever is in a message, it stays one line.

The core writes with the standard `logging`; fields beside the message come as ``extra={"fields": {…}}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, cast

from serving.settings.environment import Environment, choice, flag

Format = Literal["text", "json"]


@dataclass(frozen=True)
class LogSettings:
    """What is logged; never a user's text or its answer, unless that is asked for.

    Attributes:
        format: lines for people, or JSON objects.
        requests: whether each request gets a line; by default it does in JSON.
        inputs: whether that line holds the inputs.
        labels: whether it holds the labels answered.
    """

    format: Format = "text"
    requests: bool = False
    inputs: bool = False
    labels: bool = False

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """From the TUNESHIP_LOG_ variables; raises InputError naming the variable."""
        chosen = cast(Format, choice(environment, "TUNESHIP_LOG_FORMAT", ("text", "json")))
        requests = flag(environment, "TUNESHIP_LOG_REQUESTS")
        return cls(
            format=chosen,
            requests=chosen == "json" if requests is None else requests,
            inputs=flag(environment, "TUNESHIP_LOG_INPUTS") or False,
            labels=flag(environment, "TUNESHIP_LOG_LABELS") or False,
        )
