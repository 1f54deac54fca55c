"""What Amazon SageMaker asks of a container: ``/ping`` and ``/invocations``.

Contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html; lines of JSON as batch
transform sends them, https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html.
"""

from __future__ import annotations

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from serving.app.about import About
from serving.app.answering import Answering, encode, reply, told
from serving.app.asking import ask
from serving.app.body import JSON, content_type_of
from serving.app.exchange import Exchange, exchange_of
from serving.app.model import Model
from serving.app.surface import Surface
from serving.dialects import HUGGING_FACE
from serving.dialects.json_lines import JSON_LINES, parse, render


class SageMaker:
    """Endpoints over the surface's default model; health is told as everywhere."""

    def __init__(self, surface: Surface, about: About) -> None:
        self._surface, self._about = surface, about
        self._answer_json = Answering(surface).speaking(HUGGING_FACE)

    def routes(self) -> list[Route]:
        """Both of them."""
        return [Route("/ping", self._about.readyz), Route("/invocations", self.invocations, methods=["POST"])]

    async def invocations(self, http: HttpRequest) -> Response:
        """``POST /invocations``: a body as ``/predict`` takes it, or lines of them, each with its line of answers."""
        if content_type_of(exchange_of(http.scope).headers) in JSON:
            return await self._answer_json(http)

        async def answer(body: bytes, model: Model) -> Response:
            return await _lines(body, model, exchange_of(http.scope))

        return await ask(self._surface, http, answer, accepted=JSON | JSON_LINES)


async def _lines(body: bytes, model: Model, exchange: Exchange) -> Response:
    predictor = model.predictor
    request, lines = parse(body, predictor.task, predictor.check)
    encoded = await encode(request, model, exchange)
    found = await reply(request, encoded, model, exchange)
    content = render(predictor.task, found, lines)
    return Response(content, media_type="application/jsonlines", headers=told(encoded))
