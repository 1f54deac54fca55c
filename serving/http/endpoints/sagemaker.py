"""Amazon SageMaker's endpoints, ``/ping`` and ``/invocations``.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html; batch transform sends JSON lines:
https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html.
"""

from __future__ import annotations

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from serving.http.body import JSON, content_type_of
from serving.http.endpoints.call_model import model_call
from serving.http.endpoints.info import readyz
from serving.http.endpoints.predict import PredictEndpoint, answer, encode, truncation_header
from serving.http.off_loop import off_loop, parse_off_loop
from serving.observability.request_record import record_of
from serving.protocols import HUGGING_FACE
from serving.protocols.json_lines import JSON_LINES, parse, render

_predict = PredictEndpoint(HUGGING_FACE)


async def invocations(http: HttpRequest) -> Response:
    """A body of ``/predict``, or lines of such bodies, each answered by a line."""
    record = record_of(http.scope)
    if content_type_of(record.headers) in JSON:
        return await _predict.respond(http)
    async with model_call(http, accepted=JSON | JSON_LINES) as (model, body):
        task = model.predictor.task
        request, lines = await parse_off_loop(parse, body, task, task.check)
        encoded = await encode(request, model, record)
        reply = await answer(request, encoded, model, record)
        content = await off_loop(render, task, reply, lines) if model.is_large(request) else render(task, reply, lines)
        return Response(content, media_type="application/jsonlines", headers=truncation_header(encoded))


ROUTES = [Route("/ping", readyz), Route("/invocations", invocations, methods=["POST"])]
