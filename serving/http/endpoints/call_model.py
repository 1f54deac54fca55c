"""Before a model is called: find it, check its queue, read the body, watch the caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Set
from contextlib import asynccontextmanager

from starlette.requests import Request as HttpRequest

from serving.batching.errors import Overloaded
from serving.http.body import JSON, read_body
from serving.http.models.model import Model
from serving.http.off_loop import INLINE_BYTES, parse_off_loop
from serving.http.server.admission import OVERLOADED
from serving.http.state import ServerState, state_of
from serving.http.timeouts import WhilePresent, request_timeout
from serving.observability.request_record import RequestRecord, record_of


@asynccontextmanager
async def model_call(
    http: HttpRequest,
    *,
    accepted: Set[str] = JSON,
    requested_model: Callable[[bytes], str] | None = None,
    explains: bool = False,
) -> AsyncIterator[tuple[Model, bytes]]:
    """Find the model, check its queue and read the body. Within the context the model stays open.

    ``requested_model`` reads a model's name from a body; ``explains``: check the line of explanations too. Raises
    HTTPException (404, 408, 415), InputError, Unanswered, ClientDisconnect.
    """
    state, record = state_of(http), record_of(http.scope)
    limits = state.server_limits
    record.deadline = record.started + request_timeout(record.headers, limits.wait_seconds)
    record.end = record.started + request_timeout(record.headers, limits.generation_seconds)
    name_in_body = requested_model if requested_model and len(state.models) > 1 else None
    most = _admit(http, state, record, model_known=name_in_body is None, explains=explains)
    with state.bodies.hold() as held:
        body = await read_body(record.headers, http.receive, held, most, limits.body_seconds, accepted)
        name = await parse_off_loop(name_in_body, body) if name_in_body else ""
        model = state.find(http, name).model  # perhaps a newer version by now
        record.model = model.name
        expensive = explains or model.predictor.runs_in_slices or len(body) > INLINE_BYTES
        with model, WhilePresent(http.receive, expensive=expensive):
            yield model, body


def _admit(http: HttpRequest, state: ServerState, record: RequestRecord, *, model_known: bool, explains: bool) -> int:
    """The body's limit in bytes; raises Overloaded. No model: a slow sender must not keep an old one in memory."""
    model = state.find(http).model
    if model_known:
        record.model = model.name
        model.batcher.admit(record.deadline)
        if explains:
            model.explanations.admit(record.deadline)
    if OVERLOADED in http.scope:
        raise Overloaded(http.scope[OVERLOADED])
    return model.predictor.manifest.limits.max_body_bytes
