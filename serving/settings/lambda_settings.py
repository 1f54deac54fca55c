"""Settings of the AWS Lambda function alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from serving.errors import InputError
from serving.settings.environment import Environment, choice

BUFFERED, RESPONSE_STREAM = INVOKE_MODES = ("BUFFERED", "RESPONSE_STREAM")
"""As AWS names them, of a Function URL."""

QUEUE_URL = re.compile(r"(https://[a-z0-9.-]+|http://(127\.0\.0\.1|localhost):\d+)/\d{12}/[A-Za-z0-9_-]{1,75}(\.fifo)?")
"""Answers do not leave this machine unencrypted."""


@dataclass(frozen=True)
class LambdaSettings:
    """Attributes:
    answers_queue: URL of the SQS queue for the answers to SQS messages; empty for none.
    invoke_mode: of the Function URL, or of what else calls.
    """

    answers_queue: str = ""
    invoke_mode: str = BUFFERED

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Raises InputError."""
        return cls(_answers_queue(environment), choice(environment, "TUNESHIP_LAMBDA_INVOKE_MODE", INVOKE_MODES))

    @property
    def streams(self) -> bool:
        return self.invoke_mode == RESPONSE_STREAM


def _answers_queue(environment: Environment) -> str:
    name = "TUNESHIP_SQS_ANSWERS"
    url = environment.get(name, "")
    if url and not QUEUE_URL.fullmatch(url):
        accepted = "https://sqs.eu-west-1.amazonaws.com/123456789012/answers"
        raise InputError(f"{name} is {url!r}; a queue's URL is accepted, such as {accepted}", field=name)
    return url
