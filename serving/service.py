"""The BentoML service, which `bentoml build` and `bentoml serve` load: it serves the same app as `tuneship serve`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # before BentoML is imported, which else reports usage
# BentoML would have its worker count into files, which outlive it; there is one worker, and its counts stay in memory.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

from dataclasses import replace
from functools import cache
from http import HTTPStatus

import bentoml
import httpx
from bentoml.exceptions import BentoMLException

from serving.bento import changes
from serving.bento.batch_limits import BATCH, BatchLimits
from serving.bento.direct_routing import DirectRouting
from serving.bento.lazy_app import LazyApp
from serving.bento.model import find_model, folder_of
from serving.bundle.manifest import MANIFEST
from serving.errors import BundleError
from serving.http.models.sources import find_served_bundles
from serving.http.server.descriptors import fit_connections
from serving.observability.log_queue import queue_streams
from serving.observability.logs import set_up_logs
from serving.settings.log_settings import LogSettings
from serving.settings.settings import ServerSettings

if TYPE_CHECKING:
    from serving.bento.batch_run import BatchRunner
    from serving.http.app import App

settings = ServerSettings.from_environment()
batch_limits = BatchLimits.from_environment(os.environ)
if model := find_model(os.environ):
    settings = replace(settings, bundle=folder_of(model))

# Check at import: `bentoml build` must not build a Bento without a bundle.
if not [*settings.bundle.glob(MANIFEST), *settings.bundle.glob(f"*/{MANIFEST}")]:
    raise BundleError(
        f"there is no bundle at {settings.bundle}. Put one there (make bento BUNDLE=…) or set TUNESHIP_BUNDLE."
    )

# Read settings at import too: an error in the worker would restart it again and again.
bundles = find_served_bundles(settings)
settings.access_policy.keys()
settings = replace(settings, server_limits=fit_connections(settings.server_limits))


def _create_app() -> App:
    from serving.http.app import create_served_app  # in the worker only, see `LazyApp`

    changes.disable_spans()
    return create_served_app(settings, bundles)


@cache
def _batches() -> BatchRunner:
    from serving.bento.batch_run import BatchRunner  # in the worker only

    return BatchRunner(lazy_app.app.server_state, batch_limits)


lazy_app = LazyApp(_create_app)
changes.disable_timeouts()
changes.keep_results(batch_limits.retention_seconds)
changes.watch_worker(settings.server_limits)
changes.use_connection(
    settings.server_limits, lambda reason: lazy_app.app.server_state.metrics.count_refused_connection(reason)
)
changes.use_server(settings.server_limits)

if settings.log != LogSettings():  # by default the log has BentoML's format and no line per request
    set_up_logs(settings.log)
else:
    queue_streams()


@bentoml.service(
    name="tuneship-service",  # with "tuneship", BentoML would load the module tuneship.py of the checkout
    workers=1,  # the engine uses all CPUs of a container; scale by containers
    metrics={"enabled": False},  # BentoML's add a time series for each requested path; the app has /metrics
    logging={"access": {"enabled": False}},  # a log line costs more than routing the request
)
@bentoml.asgi_app(lazy_app, path="/")
class Tuneship:
    """Serves one bundle; see `serving.http` for the endpoints."""

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    async def predict(self, inputs: Any, parameters: dict[str, Any] | None = None) -> Any:
        """One input or several, in Hugging Face's format of the bundle's task; GET /openapi.json describes it."""
        # This method describes /predict to BentoML's clients; their requests go directly to the app.
        transport = httpx.ASGITransport(lazy_app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tuneship") as client:
            response = await client.post("/predict", json={"inputs": inputs, "parameters": parameters})
        if response.is_error:
            raise BentoMLException(response.json()["error"], error_code=HTTPStatus(response.status_code))
        return response.json()

    @bentoml.task(route=BATCH)  # type: ignore[untyped-decorator]
    async def batch(self, inputs: Any, parameters: dict[str, Any] | None = None) -> Any:
        """Many inputs, answered in the background: submit them, ask for the status, get a list of answers."""
        return await _batches().answer(inputs, parameters)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def take_over_batches(self) -> None:
        """Those that an earlier worker left."""
        from serving.bento.batch_store import take_over  # in the worker only

        await take_over()


if model:
    Tuneship.models.append(model)  # type: ignore[attr-defined]

Tuneship.add_asgi_middleware(  # type: ignore[attr-defined]
    DirectRouting, lazy_app=lazy_app, access_policy=settings.access_policy, batch_limits=batch_limits,
    root_path=settings.root_path,
)  # fmt: skip
