"""SQS messages: each body is a request of ``POST /predict``; answers and refusals go to another queue.

What may succeed later is reported in ``batchItemFailures``, so that SQS delivers it again:
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

from serving.entrypoints.asgi_client import Call, Reply, send
from serving.entrypoints.aws_lambda.queue import MOST_BYTES, Message, Queue
from serving.entrypoints.aws_lambda.replies import InvocationError

PERMANENT = frozenset({400, 413, 415, 422})
"""Statuses that a message gets again however often it is delivered: it is answered with the refusal."""

OVERLOADED = 429

AT_ONCE = 64
"""Messages that wait for the engine together."""

SECONDS_TO_SEND = 3.0
"""Kept before the function's timeout, for the answers of what has been computed."""


@dataclass(frozen=True)
class Record:
    """A message of the batch; ``attributes`` are the sender's."""

    id: str
    body: str
    group: str
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)


async def answer_messages(event: dict[str, Any], context: Any, app: ASGIApp, queue: Queue | None) -> dict[str, Any]:
    """Lambda's partial batch response. Raises InvocationError, after which SQS delivers all of them again."""
    records = _parse(event)
    if queue is None:
        told = "answers to SQS messages have no queue to go to; set TUNESHIP_SQS_ANSWERS to the URL of one"
        raise InvocationError(told)
    replies = await _predict(records, context, app)
    ordered = all(str(record.get("eventSourceARN")).endswith(".fifo") for record in event["Records"])
    failed = _with_later(records, {each.id for each in records if not _is_final(replies[each.id])}, ordered=ordered)
    answers = [_to_message(each, replies[each.id]) for each in records if each.id not in failed]
    failed = _with_later(records, failed | queue.send(answers), ordered=ordered)
    return {"batchItemFailures": [{"itemIdentifier": each.id} for each in records if each.id in failed]}


def _parse(event: dict[str, Any]) -> list[Record]:
    try:
        return [
            Record(
                str(each["messageId"]), str(each["body"]), str(each.get("attributes", {}).get("MessageGroupId", "")),
                _attributes(each.get("messageAttributes") or {}),
            )
            for each in event["Records"]
        ]  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise InvocationError(f"400: a record is no SQS message: {type(error).__name__} {error}") from error


def _attributes(given: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """As they are sent again, so that callers know their answers by them."""
    names = {"stringValue": "StringValue", "binaryValue": "BinaryValue", "dataType": "DataType"}
    return {
        name: {new: str(value[old]) for old, new in names.items() if value.get(old) is not None}
        for name, value in given.items()
    }


async def _predict(records: Sequence[Record], context: Any, app: ASGIApp) -> dict[str, Reply]:
    """Concurrently, so that the batcher runs them together; what finds the queue full is tried again alone."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def predict(record: Record) -> Reply:
        async with turn:
            if _seconds_left(context) < SECONDS_TO_SEND:
                return Reply(504)
            return await send(_to_call(record), app)

    replies = dict(zip([each.id for each in records], await asyncio.gather(*map(predict, records)), strict=True))
    for record in records:
        if replies[record.id].status == OVERLOADED:
            replies[record.id] = await predict(record)
    return replies


def _to_call(record: Record) -> Call:
    headers = {"content-type": "application/json", "x-request-id": record.id}
    return Call("POST", "/predict", headers=headers, body=record.body.encode("utf-8", "surrogatepass"))


def _seconds_left(context: Any) -> float:
    """Until the function's timeout."""
    left = getattr(context, "get_remaining_time_in_millis", None)
    return left() / 1000 if left else float("inf")


def _is_final(reply: Reply) -> bool:
    return reply.status == 200 or reply.status in PERMANENT


def _with_later(records: Sequence[Record], failed: Set[str], *, ordered: bool) -> set[str]:
    """In a FIFO queue no message overtakes an earlier one of its group."""
    found, groups = set(failed), set[str]()
    for record in records:
        if ordered and record.group in groups:
            found.add(record.id)
        if record.id in found:
            groups.add(record.group)
    return found


def _to_message(record: Record, reply: Reply) -> Message:
    message = Message(record.id, _body(record.id, reply.status, reply.body), record.attributes, record.group)
    if message.size <= MOST_BYTES:
        return message
    told = f"the answer has {len(reply.body):,} bytes, and SQS takes {MOST_BYTES:,}; send fewer inputs in a message"
    refusal = json.dumps({"error": told, "error_type": "too_large"}).encode()
    return Message(record.id, _body(record.id, 413, refusal), record.attributes, record.group)


def _body(id: str, status: int, body: bytes) -> str:
    return f'{{"messageId": {json.dumps(id)}, "statusCode": {status}, "body": {body.decode()}}}'
