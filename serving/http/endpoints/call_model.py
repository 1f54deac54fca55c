"""How every endpoint asks a model: find it, read the body within its limits, keep it while it is asked, or refuse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from serving.batching.errors import Overloaded
from serving.http.body import JSON, read_body
from serving.http.errors import REFUSED, refused
from serving.http.models.model import Model
from serving.http.server.admission import OVERLOADED
from serving.http.state import ServerState
from serving.http.timeouts import WhilePresent, request_timeout
from serving.observability.request_record import record_of

Answer = Callable[[bytes, Model], Awaitable[Response]]
Named = Callable[[bytes], str]


async def ask(
    state: ServerState, http: HttpRequest, answer: Answer, named: Named | None = None, accepted: Set[str] = JSON
) -> Response:
    """What ``answer`` makes of a request's body and the model that it is for, or the refusal it came to.

    ``named`` finds the model's name in bodies that tell it; where a server has but one, it is asked under any name.
    ``accepted`` are the content types that a body may have.
    """
    record, server_limits, model = record_of(http.scope), state.server_limits, None
    try:
        record.deadline = record.begun + request_timeout(record.headers, server_limits.wait_seconds)
        model, told_by_body = state.model_of(http), named is not None and len(state.models) > 1
        if not told_by_body:
            record.model = model.name
            model.batcher.admit(record.deadline)
        if OVERLOADED in http.scope:
            raise Overloaded(http.scope[OVERLOADED])
        limits = model.predictor.manifest.limits
        model = None  # so that a slow sender does not keep an old version alive
        body = await read_body(
            record.headers, http.receive, limits.max_body_bytes, server_limits.body_seconds, accepted
        )
        name = named(body) if named and told_by_body else ""
        model = state.model_of(http, name)
        record.model = model.name
        with model, WhilePresent(http.receive):
            return await answer(body, model)
    except REFUSED as error:
        return refused(error, model.batcher.seconds_to_drain if model else 0.0, openai=named is not None)
