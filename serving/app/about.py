"""The endpoints that tell of the server: health, information, metrics, the OpenAPI document, a page to look at."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from serving.app.json_response import JSONResponse
from serving.app.models import Served
from serving.app.page import PAGE, POLICY
from serving.app.refusals import refusal
from serving.app.surface import Surface
from serving.bundle import CARD
from serving.dialects.openai import model_object
from serving.info import describe, limits_of
from serving.openapi import document, model_document
from serving.openapi_gates import gated
from serving.protection import Protection


class About:
    """Endpoints over the surface; the document tells of its protection."""

    def __init__(self, surface: Surface, protection: Protection) -> None:
        self._surface, self._protection = surface, protection

    async def info(self, http: HttpRequest) -> Response:
        """``GET /info``: the model, its labels and limits, the bundle's hash and the verdict of its proof."""
        served = self._surface.served(http)
        return JSONResponse(describe(served.model.predictor, self._surface.traffic) | _service(served))

    async def models(self, _: HttpRequest) -> Response:
        """``GET /models``: what is served, the default first."""
        return JSONResponse({"models": [_listed(served) for served in self._surface.models]})

    async def card(self, http: HttpRequest) -> Response:
        """``GET /card``: the bundle's model card."""
        bundle = self._surface.model_of(http).predictor.bundle
        return Response(bundle.read(CARD), media_type="text/markdown; charset=utf-8")

    async def openai_models(self, _: HttpRequest) -> Response:
        """``GET /v1/models``: the same for OpenAI's clients."""
        data = [model_object(served.name, served.model.predictor.manifest) for served in self._surface.models]
        return JSONResponse({"object": "list", "data": data})

    async def openai_model(self, http: HttpRequest) -> Response:
        """``GET /v1/models/NAME``: one of them."""
        served = self._surface.served(http)
        return JSONResponse(model_object(served.name, served.model.predictor.manifest))

    async def page(self, _: HttpRequest) -> Response:
        """``GET /``: a page to try the model on. It loads nothing from anywhere else."""
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})

    async def livez(self, _: HttpRequest) -> Response:
        """``GET /livez``: the process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _: HttpRequest) -> Response:
        """``GET /readyz``: the bundle is loaded and answers as it did when it was proven."""
        return PlainTextResponse("ready\n") if self._surface.ready else PlainTextResponse("not ready\n", 503)

    async def health(self, _: HttpRequest) -> Response:
        """``GET /health``: the same, as text-embeddings-inference tells it."""
        if self._surface.ready:
            return Response()
        return refusal(503, "unhealthy", "unhealthy: the server is starting or stopping")

    async def metrics(self, _: HttpRequest) -> Response:
        """``GET /metrics``: Prometheus exposition format."""
        metrics = self._surface.metrics
        self._surface.tell_depth()
        return Response(metrics.render(), media_type=metrics.content_type)

    async def openapi(self, http: HttpRequest) -> Response:
        """``GET /openapi.json``: the endpoints, described; within a model its own."""
        served = self._surface.served(http)
        bundle = served.model.predictor.bundle
        limits = limits_of(bundle.manifest, self._surface.traffic)
        if "model" in http.path_params:
            within = f"/models/{quote(served.name, safe='')}"
            return JSONResponse(gated(model_document(bundle, within, limits), self._protection))
        models = [each.name for each in self._surface.models]
        return JSONResponse(gated(document(bundle, models, limits), self._protection))


def _service(served: Served) -> dict[str, Any]:
    """Under which name the bundle is served, and what came of the last look for a newer one."""
    return {"served_as": served.name, "last_reload": served.last_reload and asdict(served.last_reload)}


def _listed(served: Served) -> dict[str, Any]:
    manifest = served.model.predictor.manifest
    return {
        "name": served.name,
        "task": manifest.task,
        "variant": manifest.graph.variant,
        "version": served.version,
        "bundle_sha256": manifest.digest,
        "created": manifest.created,
        "last_reload": served.last_reload and asdict(served.last_reload),
    }
