"""What Amazon SageMaker asks of a container: ``/ping`` and ``/invocations``.

Contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html; lines of JSON as batch
transform sends them, https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html.
"""

from __future__ import annotations

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from serving.http.body import JSON, content_type_of
from serving.http.endpoints.call_model import ask
from serving.http.endpoints.info import InfoEndpoints
from serving.http.endpoints.predict import PredictEndpoints, encode, reply, told
from serving.http.models.model import Model
from serving.http.state import ServerState
from serving.observability.request_record import RequestRecord, record_of
from serving.protocols import HUGGING_FACE
from serving.protocols.json_lines import JSON_LINES, parse, render


class SageMakerEndpoints:
    """Endpoints over the surface's default model; health is told as everywhere."""

    def __init__(self, state: ServerState, about: InfoEndpoints) -> None:
        self._state, self._about = state, about
        self._answer_json = PredictEndpoints(state).speaking(HUGGING_FACE)

    def routes(self) -> list[Route]:
        """Both of them."""
        return [Route("/ping", self._about.readyz), Route("/invocations", self.invocations, methods=["POST"])]

    async def invocations(self, http: HttpRequest) -> Response:
        """``POST /invocations``: a body as ``/predict`` takes it, or lines of them, each with its line of answers."""
        if content_type_of(record_of(http.scope).headers) in JSON:
            return await self._answer_json(http)

        async def answer(body: bytes, model: Model) -> Response:
            return await _lines(body, model, record_of(http.scope))

        return await ask(self._state, http, answer, accepted=JSON | JSON_LINES)


async def _lines(body: bytes, model: Model, record: RequestRecord) -> Response:
    predictor = model.predictor
    request, lines = parse(body, predictor.task, predictor.check)
    encoded = await encode(request, model, record)
    found = await reply(request, encoded, model, record)
    content = render(predictor.task, found, lines)
    return Response(content, media_type="application/jsonlines", headers=told(encoded))
