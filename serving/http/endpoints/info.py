"""The endpoints that tell of the server: health, information, metrics, the OpenAPI document, a page to look at."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from serving import VERSION
from serving.bundle.cpu import describe_machine
from serving.bundle.manifest import CARD, Manifest
from serving.explain.parameters import LIMITS
from serving.http.errors import JSONResponse, refusal
from serving.http.models.registry import ServedModel
from serving.http.openapi.access import gated
from serving.http.openapi.document import document, model_document
from serving.http.page import PAGE, POLICY
from serving.http.state import ServerState
from serving.inference.predictor import Predictor
from serving.protocols.openai_models import model_object
from serving.protocols.tei import SCORING_TASKS
from serving.settings.access import AccessPolicy
from serving.settings.limits import ServerLimits
from serving.tasks.feature_extraction import FeatureExtraction


class InfoEndpoints:
    """Endpoints over the surface; the document tells of its protection."""

    def __init__(self, state: ServerState, access_policy: AccessPolicy) -> None:
        self._state, self._access_policy = state, access_policy

    async def info(self, http: HttpRequest) -> Response:
        """``GET /info``: the model, its labels and limits, the bundle's hash and the verdict of its proof."""
        served = self._state.served(http)
        return JSONResponse(describe_model(served.model.predictor, self._state.server_limits) | _service(served))

    async def models(self, _: HttpRequest) -> Response:
        """``GET /models``: what is served, the default first."""
        return JSONResponse({"models": [_listed(served) for served in self._state.models]})

    async def card(self, http: HttpRequest) -> Response:
        """``GET /card``: the bundle's model card."""
        bundle = self._state.model_of(http).predictor.bundle
        return Response(bundle.read(CARD), media_type="text/markdown; charset=utf-8")

    async def openai_models(self, _: HttpRequest) -> Response:
        """``GET /v1/models``: the same for OpenAI's clients."""
        data = [model_object(served.name, served.model.predictor.manifest) for served in self._state.models]
        return JSONResponse({"object": "list", "data": data})

    async def openai_model(self, http: HttpRequest) -> Response:
        """``GET /v1/models/NAME``: one of them."""
        served = self._state.served(http)
        return JSONResponse(model_object(served.name, served.model.predictor.manifest))

    async def page(self, _: HttpRequest) -> Response:
        """``GET /``: a page to try the model on. It loads nothing from anywhere else."""
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})

    async def livez(self, _: HttpRequest) -> Response:
        """``GET /livez``: the process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _: HttpRequest) -> Response:
        """``GET /readyz``: the bundle is loaded and answers as it did when it was proven."""
        return PlainTextResponse("ready\n") if self._state.ready else PlainTextResponse("not ready\n", 503)

    async def health(self, _: HttpRequest) -> Response:
        """``GET /health``: the same, as text-embeddings-inference tells it."""
        if self._state.ready:
            return Response()
        return refusal(503, "unhealthy", "unhealthy: the server is starting or stopping")

    async def metrics(self, _: HttpRequest) -> Response:
        """``GET /metrics``: Prometheus exposition format."""
        metrics = self._state.metrics
        self._state.tell_depth()
        return Response(metrics.render(), media_type=metrics.content_type)

    async def openapi(self, http: HttpRequest) -> Response:
        """``GET /openapi.json``: the endpoints, described; within a model its own."""
        served = self._state.served(http)
        bundle = served.model.predictor.bundle
        limits = limits_of(bundle.manifest, self._state.server_limits)
        if "model" in http.path_params:
            within = f"/models/{quote(served.name, safe='')}"
            return JSONResponse(gated(model_document(bundle, within, limits), self._access_policy))
        models = [each.name for each in self._state.models]
        return JSONResponse(gated(document(bundle, models, limits), self._access_policy))


def _service(served: ServedModel) -> dict[str, Any]:
    """Under which name the bundle is served, and what came of the last look for a newer one."""
    return {"served_as": served.name, "last_reload": served.last_reload and asdict(served.last_reload)}


def _listed(served: ServedModel) -> dict[str, Any]:
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


def describe_for_tei(predictor: Predictor, server_limits: ServerLimits) -> dict[str, Any]:
    """What TEI's ``/info`` tells, by its names; ``pooling`` is null where the recipe left it to the base model."""
    manifest, shape = predictor.manifest, predictor.shape
    return {
        "model_id": str(manifest.model.get("id") or manifest.name),
        "model_sha": manifest.model.get("revision"),
        "model_dtype": {"fp32": "float32", "fp16": "float16"}.get(manifest.graph.variant, manifest.graph.variant),
        **_model_type(predictor),
        "max_concurrent_requests": server_limits.bounds.rows,
        "max_input_length": manifest.tokenizer.max_length,
        "max_batch_tokens": shape.tokens,
        "max_batch_requests": shape.rows,
        "max_client_batch_size": manifest.limits.max_inputs,
        "auto_truncate": True,
        "tokenization_workers": 1,
        "version": VERSION,
        "sha": None,
        "docker_label": None,
    }


def _model_type(predictor: Predictor) -> dict[str, Any]:
    """Nothing for tasks that TEI does not know."""
    task = predictor.task
    if isinstance(task, FeatureExtraction):
        head = predictor.manifest.training.get("recipe", {}).get("model_head", {})
        return {"model_type": {"embedding": {"pooling": head.get("pooling")}}}
    if not isinstance(task, SCORING_TASKS):
        return {}
    id2label = {str(place): label for place, label in enumerate(task.labels)}
    label2id = {label: place for place, label in enumerate(task.labels)}
    return {"model_type": {"classifier": {"id2label": id2label, "label2id": label2id}}}


def limits_of(manifest: Manifest, server_limits: ServerLimits) -> dict[str, float]:
    """All that a request is held to: the bundle's limits, the tokens of a window, an explanation's, the server's."""
    return {
        **manifest.limits.model_dump(),
        "max_length": manifest.tokenizer.max_length,
        **LIMITS,
        **server_limits.limits,
    }


def describe_model(predictor: Predictor, server_limits: ServerLimits) -> dict[str, Any]:
    """Model, labels, limits, the bundle's hash, the served variant and the verdict of its proof, as plain JSON.

    Among them are the names that text-embeddings-inference gives such things."""
    manifest, choice = predictor.manifest, predictor.choice
    return {
        **describe_for_tei(predictor, server_limits),
        "name": manifest.name,
        "task": manifest.task,
        "model": manifest.model,
        "labels": manifest.labels,
        "settings": manifest.settings,
        "limits": limits_of(manifest, server_limits),
        "variant": manifest.graph.variant,
        "variant_preferred": choice.preferred,
        "variants_passed_over": [asdict(each) for each in choice.rejected],
        "warnings": choice.warnings,
        "bundle_sha256": manifest.digest,
        "created": manifest.created,
        "parity": manifest.verdict.model_dump(),
        "proven_on": manifest.proven_on,
        "machine": describe_machine(),
        "versions": manifest.versions,
    }
