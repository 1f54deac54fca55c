"""Before a model is called: find it, check its queue, read the body, watch the caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.types import Receive

from serving.batching.errors import Overloaded
from serving.errors import InputTooLarge
from serving.http.models.model import Model
from serving.http.server.admission import OVERLOADED
from serving.http.state import ServerState, state_of
from serving.http.timeouts import WhilePresent, Within, request_timeout
from serving.observability.request_record import RequestRecord, record_of

JSON = frozenset({"application/json"})


@asynccontextmanager
async def model_call(
    http: HttpRequest, *, accepted: Set[str] = JSON, requested_model: Callable[[bytes], str] | None = None
) -> AsyncIterator[tuple[Model, bytes]]:
    """Find the model, check its queue and read the body. Within the context the model stays open.

    ``requested_model`` reads a model's name from a body. Raises HTTPException (404, 408, 415), InputError, Unanswered,
    ClientDisconnect.
    """
    state, record = state_of(http), record_of(http.scope)
    record.deadline = record.started + request_timeout(record.headers, state.server_limits.wait_seconds)
    name_in_body = requested_model if requested_model and len(state.models) > 1 else None
    most = _admit(http, state, record, model_known=name_in_body is None)
    body = await _read_body(record.headers, http.receive, most, state.server_limits.body_seconds, accepted)
    model = state.find(http, name_in_body(body) if name_in_body else "").model  # perhaps a newer version by now
    record.model = model.name
    with model, WhilePresent(http.receive):
        yield model, body


def _admit(http: HttpRequest, state: ServerState, record: RequestRecord, *, model_known: bool) -> int:
    """The body's limit in bytes; raises Overloaded. No model: a slow sender must not keep an old one in memory."""
    model = state.find(http).model
    if model_known:
        record.model = model.name
        model.batcher.admit(record.deadline)
    if OVERLOADED in http.scope:
        raise Overloaded(http.scope[OVERLOADED])
    return model.predictor.manifest.limits.max_body_bytes


async def _read_body(
    headers: Mapping[bytes, bytes], receive: Receive, limit: int, seconds: float, accepted: Set[str]
) -> bytes:
    _check_headers(headers, accepted)
    if (parse_size(headers.get(b"content-length", b"")) or 0) > limit:  # before the server answers 100 Continue
        raise _too_large(limit)
    try:
        with Within(seconds):
            return await _receive_body(receive, limit)
    except TimeoutError as error:
        raise HTTPException(408, f"the body took more than {seconds:g} s", {"Connection": "close"}) from error


async def _receive_body(receive: Receive, limit: int) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return bytes(body)


def _check_headers(headers: Mapping[bytes, bytes], accepted: Set[str]) -> None:
    if (content_type := content_type_of(headers)) not in accepted:
        wanted = " or ".join(sorted(filter(None, accepted)))
        raise HTTPException(415, f"send Content-Type: {wanted}, not {content_type or 'none'}")
    coding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
    if coding != "identity":  # RFC 9110, section 15.5.16
        raise HTTPException(415, f"send the body as it is, not coded as {coding!r}", {"Accept-Encoding": "identity"})


def content_type_of(headers: Mapping[bytes, bytes]) -> str:
    """Lower case, without parameters."""
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def parse_size(header: bytes) -> int | None:
    """None where it is not a number of bytes."""
    return int(header) if header.isdigit() and len(header) < 19 else None


def _too_large(limit: int) -> InputTooLarge:
    return InputTooLarge(f"the body has more than {limit:,} bytes, the most that is accepted")
