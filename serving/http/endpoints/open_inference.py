"""The Open Inference Protocol's endpoints, under ``/v2``."""

from __future__ import annotations

import json

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import quote
from serving.http.body import size_of
from serving.http.endpoints.call_model import ask
from serving.http.endpoints.info import InfoEndpoints
from serving.http.endpoints.predict import encode, reply, truncated
from serving.http.errors import JSONResponse
from serving.http.models.model import Model
from serving.http.state import ServerState
from serving.observability.request_record import record_of
from serving.protocols.open_inference.infer import model_metadata, parse, render, server_metadata, version_of

ACCEPTED = frozenset({"application/json", "application/octet-stream", ""})
"""Binary tensors come as octets, and Triton's client tells of no content type at all."""

HEADER_LENGTH = "Inference-Header-Content-Length"
MODEL = "/v2/models/{model}"
VERSION = "/versions/{version}"


class OpenInferenceEndpoints:
    """Endpoints over the surface's models; health is told as everywhere."""

    def __init__(self, state: ServerState, about: InfoEndpoints) -> None:
        self._state, self._about = state, about

    def routes(self) -> list[Route]:
        """All of them; a model's also under its one version."""
        return [
            Route("/v2", self.server),
            Route("/v2/health/live", self._about.livez),
            Route("/v2/health/ready", self._about.readyz),
            *(route for within in (MODEL, MODEL + VERSION) for route in self._of_a_model(within)),
        ]

    async def server(self, _: HttpRequest) -> Response:
        """``GET /v2``: name, version and extensions."""
        return JSONResponse(server_metadata())

    async def metadata(self, http: HttpRequest) -> Response:
        """``GET /v2/models/{model}``: its versions and tensors."""
        model = self._model(http)
        return JSONResponse(model_metadata(model.predictor.task, model.predictor.manifest, model.name))

    async def model_ready(self, http: HttpRequest) -> Response:
        """``GET /v2/models/{model}/ready``: this model should be sent requests."""
        self._model(http)
        return await self._about.readyz(http)

    async def infer(self, http: HttpRequest) -> Response:
        """``POST /v2/models/{model}/infer``."""

        async def answer(body: bytes, model: Model) -> Response:
            return await self._infer(http, body, _of_version(http, model))

        return await ask(self._state, http, answer, accepted=ACCEPTED)

    async def _infer(self, http: HttpRequest, body: bytes, model: Model) -> Response:
        predictor, record = model.predictor, record_of(http.scope)
        request = parse(body, _header_length(http), predictor.task, predictor.check)
        record.deadline = min(record.deadline, record.begun + request.options.seconds)
        encoded = await encode(request, model, record)
        found = await reply(request, encoded, model, record)
        content, binary = render(predictor.task, request, found, predictor.manifest, model.name)
        if places := truncated(encoded):
            content["parameters"] = {"truncated": places}
        return _written(content, binary)

    def _of_a_model(self, within: str) -> list[Route]:
        return [
            Route(within, self.metadata),
            Route(f"{within}/ready", self.model_ready),
            Route(f"{within}/infer", self.infer, methods=["POST"]),
        ]

    def _model(self, http: HttpRequest) -> Model:
        """The model that the path names; raises Unavailable, or HTTPException 404 for another name or version."""
        return _of_version(http, self._state.model_of(http))


def _of_version(http: HttpRequest, model: Model) -> Model:
    """The model, if it is of the version that the path names or the path names none."""
    served, asked = version_of(model.predictor.manifest), http.path_params.get("version")
    if asked not in (None, served):
        raise HTTPException(404, f"{model.name} has no version {quote(asked)}; served is {served!r}")
    return model


def _header_length(http: HttpRequest) -> int | None:
    given = http.headers.get(HEADER_LENGTH)
    if given is None:
        return None
    if (size := size_of(given.encode("latin-1"))) is None:
        raise HTTPException(400, f"{HEADER_LENGTH} is {quote(given)}; a number of bytes is accepted")
    return size


def _written(content: dict[str, object], binary: bytes) -> Response:
    if not binary:
        return JSONResponse(content)
    head = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(head + binary, media_type="application/octet-stream", headers={HEADER_LENGTH: str(len(head))})
