"""Sends messages to an SQS queue, without AWS's SDK: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/"""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from serving.entrypoints.aws_lambda.credentials import Credentials
from serving.entrypoints.aws_lambda.sigv4 import sign
from serving.errors import UserError

MOST_BYTES = 2**20
"""Of a message, and of all that are sent at once."""

MOST_ENTRIES = 10

SECONDS = 20.0

logger = logging.getLogger("tuneship")


@dataclass(frozen=True)
class Message:
    """Attributes:
    id: of the message that it answers.
    attributes: as SendMessage takes them.
    group: of a FIFO queue.
    """

    id: str
    body: str
    attributes: Mapping[str, Mapping[str, str]]
    group: str = ""

    @property
    def size(self) -> int:
        attributes = sum(len(name) + sum(map(len, value.values())) for name, value in self.attributes.items())
        return len(self.body.encode()) + attributes


class Queue:
    """``environment`` has the credentials and, in ``AWS_REGION``, where the function runs."""

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        self.url, self._environment = url, environment

    def send(self, messages: Iterable[Message]) -> set[str]:
        """The ids of those that the queue did not take; the log tells why."""
        return {id for batch in _batches(messages) for id in self._send(batch)}

    def _send(self, batch: Sequence[Message]) -> set[str]:
        entries = [self._entry(str(index), message) for index, message in enumerate(batch)]
        try:
            content = self._call("SendMessageBatch", {"QueueUrl": self.url, "Entries": entries})
            failed = content.get("Failed") or []
        except (OSError, http.client.HTTPException, ValueError, UserError) as error:
            logger.error("%d answers were not sent to %s: %s", len(batch), self.url, error)
            return {message.id for message in batch}
        for each in failed:
            logger.error("an answer was not sent to %s: %s %s", self.url, each.get("Code"), each.get("Message"))
        return {batch[int(each["Id"])].id for each in failed}

    def _entry(self, index: str, message: Message) -> dict[str, Any]:
        entry: dict[str, Any] = {"Id": index, "MessageBody": message.body}
        if message.attributes:
            entry["MessageAttributes"] = message.attributes
        if self.url.endswith(".fifo"):
            entry |= {"MessageGroupId": message.group or message.id, "MessageDeduplicationId": message.id}
        return entry

    def _call(self, action: str, content: dict[str, Any]) -> dict[str, Any]:
        """Raises OSError, HTTPException, ValueError or UserError."""
        where, body = urlsplit(self.url), json.dumps(content).encode()
        headers = {
            "host": where.netloc,
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"AmazonSQS.{action}",
        }
        signed = sign(
            headers, body, Credentials.read(self._environment), region=self._region(where.netloc), service="sqs",
            now=datetime.now(UTC),
        )  # fmt: skip
        kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
        connection = kind(where.netloc, timeout=SECONDS)
        try:
            connection.request("POST", "/", body, signed)
            response = connection.getresponse()
            answer = json.loads(response.read() or b"{}")
        finally:
            connection.close()
        if response.status != 200:
            raise UserError(f"{response.status} {answer.get('__type', '')} {answer.get('message', '')}".rstrip())
        found: dict[str, Any] = answer
        return found

    def _region(self, host: str) -> str:
        """The queue's, which its host names, else the function's."""
        parts = host.split(".")
        return parts[1] if parts[0] == "sqs" and len(parts) > 2 else self._environment.get("AWS_REGION", "us-east-1")


def _batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """As many as SendMessageBatch takes."""
    batch: list[Message] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == MOST_ENTRIES or size + message.size > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += message.size
    if batch:
        yield batch
