"""``/v1/decisions`` of several models: each question goes to the model whose labels it is about."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from serving.errors import InputError
from serving.http.endpoints.call_model import model_call
from serving.http.endpoints.predict import PredictEndpoint, answer, encode, truncation_header
from serving.http.errors import JSONResponse
from serving.http.models.model import Model
from serving.http.off_loop import parse_off_loop
from serving.http.state import state_of
from serving.observability.request_record import record_of
from serving.protocols import decisions
from serving.protocols.lazy_module import LazyModule
from serving.protocols.openai_models import requested_model

if TYPE_CHECKING:
    from serving.protocols.openai_decisions.body import Body

labels_of = LazyModule("serving.protocols.openai_decisions.labels")

Asked = dict[str, dict[int, list[int]]]
"""By a model's name, for its questions the indices of labels."""


class DecisionsEndpoint(PredictEndpoint):
    """With one model, as the other protocols."""

    async def respond(self, http: HttpRequest) -> Response:
        state = state_of(http)
        if len(state.models) == 1 or "model" in http.path_params:
            return await super().respond(http)
        async with model_call(http, requested_model=requested_model) as (model, body):
            content = await parse_off_loop(decisions.read, body, model.predictor.task)
            models = {model.name: model} | {each.name: each.model for each in state.models if each.name != model.name}
            return await _answer(http, content, models)


async def _answer(http: HttpRequest, content: Body, models: Mapping[str, Model]) -> Response:
    """All that is asked is checked before anything runs."""
    record, parts, tokens = record_of(http.scope), [], 0
    asked = assign(content, models)
    with ExitStack() as stack:
        for name in asked:
            stack.enter_context(models[name])
        tasks = {name: models[name].predictor.task for name in asked}
        requests = {
            name: decisions.to_request(content, each, tasks[name], tasks[name].check) for name, each in asked.items()
        }
        for name, request in requests.items():
            encoded = await encode(request, models[name], record)
            parts.append((tasks[name], request, await answer(request, encoded, models[name], record)))
            tokens += record.tokens
    record.tokens = tokens
    cut = [each for _, _, reply in parts for each in reply.encoded if each.truncated]
    return JSONResponse(decisions.join(content, parts), headers=truncation_header(cut[:1]))


def assign(content: Body, models: Mapping[str, Model]) -> Asked:
    """To the model that a question is named after; else to the first, or to the only other one whose labels it has.

    Raises InputError.
    """
    asked: Asked = {}
    for index, question in enumerate(content.questions):
        names = [str(question.name)] if question.name in models else list(models)
        name, labels = _find_model(content, index, {name: models[name] for name in names})
        asked.setdefault(name, {})[index] = labels
    return asked


def _find_model(content: Body, index: int, models: Mapping[str, Model]) -> tuple[str, list[int]]:
    first, *others = models
    try:
        return first, labels_of.resolve(content, index, models[first].predictor.task)
    except InputError as error:
        found = _answerable(content, index, {name: models[name] for name in others})
        if not found:
            raise
        if len(found) > 1:
            message = f"questions[{index}] may be asked of several models; name it after one: {', '.join(found)}"
            raise InputError(message, field=f"questions[{index}].name") from error
        return next(iter(found.items()))


def _answerable(content: Body, index: int, models: Mapping[str, Model]) -> dict[str, list[int]]:
    found = {}
    for name, model in models.items():
        try:
            found[name] = labels_of.resolve(content, index, model.predictor.task)
        except InputError:
            continue
    return found
