"""How every endpoint asks a model: find it, read the body within its limits, keep it while it is asked, or refuse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from serving.app.body import JSON, read_body
from serving.app.exchange import exchange_of
from serving.app.interruption import WhilePresent
from serving.app.model import Model
from serving.app.patience import patience_of
from serving.app.refusals import REFUSED, refused
from serving.app.surface import Surface
from serving.batching.errors import Overloaded
from serving.entrance import CROWDED

Answer = Callable[[bytes, Model], Awaitable[Response]]
Named = Callable[[bytes], str]


async def ask(
    surface: Surface, http: HttpRequest, answer: Answer, named: Named | None = None, accepted: Set[str] = JSON
) -> Response:
    """What ``answer`` makes of a request's body and the model that it is for, or the refusal it came to.

    ``named`` finds the model's name in bodies that tell it; where a server has but one, it is asked under any name.
    ``accepted`` are the content types that a body may have.
    """
    exchange, traffic, model = exchange_of(http.scope), surface.traffic, None
    try:
        exchange.deadline = exchange.begun + patience_of(exchange.headers, traffic.wait_seconds)
        model, told_by_body = surface.model_of(http), named is not None and len(surface.models) > 1
        if not told_by_body:
            exchange.model = model.name
            model.batcher.admit(exchange.deadline)
        if CROWDED in http.scope:
            raise Overloaded(http.scope[CROWDED])
        limits = model.predictor.manifest.limits
        model = None  # so that a slow sender does not keep an old version alive
        body = await read_body(exchange.headers, http.receive, limits.max_body_bytes, traffic.body_seconds, accepted)
        name = named(body) if named and told_by_body else ""
        model = surface.model_of(http, name)
        exchange.model = model.name
        with model, WhilePresent(http.receive):
            return await answer(body, model)
    except REFUSED as error:
        return refused(error, model.batcher.seconds_to_drain if model else 0.0, openai=named is not None)
