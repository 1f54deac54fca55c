"""Endpoints about the server and its models: health, metrics, information, the OpenAPI document, the page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from serving import VERSION
from serving.bundle.cpu import describe_machine
from serving.bundle.manifest import CARD, Manifest
from serving.explain.parameters import LIMITS
from serving.http.errors import JSONResponse, error_response
from serving.http.models.registry import ServedModel
from serving.http.root_path import public_prefix
from serving.http.state import state_of
from serving.inference.predictor import Predictor
from serving.protocols.openai_models import model_object
from serving.protocols.tei import SCORING_TASKS
from serving.settings.limits import ServerLimits
from serving.tasks.feature_extraction import FeatureExtraction

MODEL_DTYPES = {"fp32": "float32", "fp16": "float16", "fp16-compute": "float16"}
"""By variant."""


async def info(http: HttpRequest) -> Response:
    """``GET /info``."""
    state = state_of(http)
    served = state.find(http)
    content = describe_model(served.model.predictor, state.server_limits)
    return JSONResponse({**content, "served_as": served.name, "last_reload": _last_reload(served)})


async def models(http: HttpRequest) -> Response:
    """``GET /models``."""
    return JSONResponse({"models": [_describe_served(served) for served in state_of(http).models]})


async def card(http: HttpRequest) -> Response:
    """``GET /card``."""
    bundle = state_of(http).find(http).model.predictor.bundle
    return Response(bundle.read(CARD), media_type="text/markdown; charset=utf-8")


async def openai_models(http: HttpRequest) -> Response:
    """``GET /v1/models``."""
    return JSONResponse({"object": "list", "data": [_openai_model(served) for served in state_of(http).models]})


async def openai_model(http: HttpRequest) -> Response:
    """``GET /v1/models/NAME``."""
    return JSONResponse(_openai_model(state_of(http).find(http)))


async def page(_: HttpRequest) -> Response:
    """``GET /``."""
    from serving.http.page import PAGE, POLICY  # few servers are asked for it

    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})


async def livez(_: HttpRequest) -> Response:
    """``GET /livez``."""
    return PlainTextResponse("ok\n")


async def readyz(http: HttpRequest) -> Response:
    """``GET /readyz``: the models are loaded, their golden answers hold, and their engines run."""
    return PlainTextResponse("ready\n") if state_of(http).ready else PlainTextResponse("not ready\n", 503)


async def health(http: HttpRequest) -> Response:
    """``GET /health``: as text-embeddings-inference."""
    if state_of(http).ready:
        return Response()
    return error_response(503, "unhealthy", "unhealthy: the server is starting or stopping")


async def metrics(http: HttpRequest) -> Response:
    """``GET /metrics``."""
    state = state_of(http)
    state.publish_queue_depth()
    return Response(state.metrics.render(), media_type=state.metrics.content_type)


async def openapi(http: HttpRequest) -> Response:
    """``GET /openapi.json``, or a model's own."""
    from serving.http.openapi.document import make_document  # few servers are asked for it

    state = state_of(http)
    served = state.find(http)
    bundle = served.model.predictor.bundle
    limits = describe_limits(bundle.manifest, state.server_limits)
    own = "model" in http.path_params
    names = [served.name] if own else [each.name for each in state.models]
    prefix = public_prefix(http.headers, state.root_path)
    return JSONResponse(make_document(bundle, names, limits, state.access_policy, own=own, prefix=prefix))


ROUTES = [
    Route("/", page, methods=["GET"]),
    Route("/models", models),
    Route("/v1/models", openai_models),
    Route("/v1/models/{model}", openai_model),
    Route("/livez", livez),
    Route("/readyz", readyz),
    Route("/health", health),
    Route("/metrics", metrics),
    Route("/tei/health", health),
    Route("/tei/metrics", metrics),
    Route("/docs.json", openapi),  # where BentoML's documentation page looks
]


def describe_model(predictor: Predictor, server_limits: ServerLimits) -> dict[str, Any]:
    """``/info``."""
    manifest, choice, shape = predictor.manifest, predictor.choice, predictor.shape
    return {
        "model_id": str(manifest.model.get("id") or manifest.name),
        "model_sha": manifest.model.get("revision"),
        "model_dtype": MODEL_DTYPES.get(manifest.graph.variant, manifest.graph.variant),
        **_model_type(predictor),
        "max_concurrent_requests": server_limits.bounds.rows,
        "max_input_length": predictor.most_tokens,
        "max_batch_tokens": shape.tokens,
        "max_batch_requests": shape.rows,
        "max_client_batch_size": manifest.limits.max_inputs,
        "auto_truncate": True,
        "tokenization_workers": 1,
        "version": VERSION,
        "sha": None,
        "docker_label": None,
        # What follows is not text-embeddings-inference's.
        "name": manifest.name,
        "task": manifest.task,
        "model": manifest.model,
        "labels": manifest.labels,
        "settings": manifest.settings,
        "limits": describe_limits(manifest, server_limits),
        "variant": manifest.graph.variant,
        "variant_preferred": choice.preferred,
        "variants_passed_over": [asdict(each) for each in choice.rejected],
        "warnings": choice.warnings,
        "data_warnings": manifest.data_warnings,
        "serves_for": manifest.serves_for.model_dump() if manifest.serves_for else None,
        "bundle_sha256": manifest.digest,
        "created": manifest.created,
        "parity": manifest.verdict.model_dump(),
        "proven_on": manifest.proven_on,
        "machine": describe_machine(),
        "versions": manifest.versions,
    }


def describe_limits(manifest: Manifest, server_limits: ServerLimits) -> dict[str, float]:
    """The bundle's, the window's, an explanation's, the server's."""
    bundle_limits = manifest.limits.model_dump()
    return {**bundle_limits, "max_length": manifest.tokenizer.max_length, **LIMITS, **server_limits.limits}


def _model_type(predictor: Predictor) -> dict[str, Any]:
    """Empty for tasks that TEI lacks."""
    task = predictor.task
    if isinstance(task, FeatureExtraction):
        head = predictor.manifest.training.get("recipe", {}).get("model_head", {})
        return {"model_type": {"embedding": {"pooling": head.get("pooling")}}}
    if not isinstance(task, SCORING_TASKS):
        return {}
    id2label = {str(index): label for index, label in enumerate(task.labels)}
    label2id = {label: index for index, label in enumerate(task.labels)}
    return {"model_type": {"classifier": {"id2label": id2label, "label2id": label2id}}}


def _describe_served(served: ServedModel) -> dict[str, Any]:
    manifest = served.model.predictor.manifest
    return {
        "name": served.name,
        "task": manifest.task,
        "variant": manifest.graph.variant,
        "version": served.version,
        "bundle_sha256": manifest.digest,
        "created": manifest.created,
        "last_reload": _last_reload(served),
    }


def _last_reload(served: ServedModel) -> dict[str, Any] | None:
    return asdict(served.last_reload) if served.last_reload else None


def _openai_model(served: ServedModel) -> dict[str, Any]:
    return model_object(served.name, served.model.predictor.manifest)
