"""The BentoML service: the HTTP surface, mounted as it is. `bentoml build` and `bentoml serve` start here.

BentoML's own per-request machinery is configured away, each part for a reason given beside it.
"""

from __future__ import annotations

import os
from functools import partialmethod
from typing import TYPE_CHECKING, Any

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # BentoML reports usage unless told not to
# BentoML sets it for its workers; there is one, whose counts belong in memory and not in files of a former process.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

from http import HTTPStatus

import bentoml
import httpx
import uvicorn
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from bentoml.exceptions import BentoMLException
from circus.watcher import Watcher
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS

from serving.bundle.manifest import MANIFEST
from serving.errors import BundleError
from serving.http.models.sources import find_bundles
from serving.http.server.connection import bounded
from serving.http.server.server import Server
from serving.lazy_app import LazyApp
from serving.observability.logs import set_up_logs
from serving.settings.log_settings import LogSettings
from serving.settings.settings import ServerSettings

if TYPE_CHECKING:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    from serving.http.app import App

settings = ServerSettings.from_environment()

# Found out here, `bentoml build` fails on a missing bundle; found out at start-up, a Bento without one would be built.
if not [*settings.bundle.glob(MANIFEST), *settings.bundle.glob(f"*/{MANIFEST}")]:
    raise BundleError(
        f"there is no bundle at {settings.bundle}. Put one there (make bento BUNDLE=…) or set TUNESHIP_BUNDLE."
    )

# As here: found out by the worker, anything malformed would have it started again and again.
bundles = find_bundles(
    [str(settings.bundle)], threads=settings.threads, trusted_key=settings.trusted_key, limits=settings.limits
)
settings.access_policy.keys()


def _make() -> App:
    from serving.http.app import create_app  # not in the parent process, see `serving.late`

    _make_no_spans()
    return create_app(
        *bundles, watch=settings.watch, server_limits=settings.server_limits,
        log=settings.log, access_policy=settings.access_policy, traces=settings.traces,
    )  # fmt: skip


def _make_no_spans() -> None:
    """BentoML makes a span of each request even where nobody collects them, and matches its path before it makes none.

    The app's own spans are another's, see `serving.observability.tracing`.
    """
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    OpenTelemetryMiddleware.__call__ = _pass_on  # type: ignore[method-assign]


async def _pass_on(self: TimeoutMiddleware | OpenTelemetryMiddleware, scope: Any, receive: Any, send: Any) -> None:
    await self.app(scope, receive, send)


late = LazyApp(_make)

if settings.log != LogSettings():  # else BentoML's own format, and no line a request
    set_up_logs(settings.log)


# BentoML never cancels a request's timer (bentoml/_internal/server/http/traffic.py): each finished request would stay
# in memory for as long as the timeout lasts, and its configuration knows no "none". How long a request may take is the
# app's own to say, see `serving.settings.server_limits`.
TimeoutMiddleware.__call__ = _pass_on

# At SIGHUP `bentoml serve` would replace its worker, whatever bundle is there by then. Circus, which does this for it,
# can pass the signal on instead: the worker looks for a new version as `tuneship serve` does.
Watcher.__init__ = partialmethod(Watcher.__init__, send_hup=True)

# BentoML configures uvicorn after this module is loaded, and leaves what a connection is to what "auto" stands for.
CONNECTIONS: dict[str, Any] = HTTP_PROTOCOLS  # uvicorn takes a class as well as its name
CONNECTIONS["auto"] = bounded(
    settings.server_limits, lambda reason: late.app.server_state.metrics.count_refused_connection(reason)
)

uvicorn.Server = Server  # type: ignore[misc]  # BentoML's worker makes its server by this name


@bentoml.service(
    # Not "tuneship": BentoML would take "tuneship:TAG" for the module tuneship.py and load the checkout's code, not the
    # Bento's.
    name="tuneship-service",
    workers=1,  # the engine uses every CPU of the container; scale by containers
    metrics={"enabled": False},  # would add a time series for each path anybody asks for; /metrics is the app's own
    logging={"access": {"enabled": False}},  # a log line a request costs more than routing it
)
@bentoml.asgi_app(late, path="/")
class Tuneship:
    """Serves one bundle; see `serving.http` for the endpoints."""

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    async def predict(self, inputs: Any, parameters: dict[str, Any] | None = None) -> Any:
        """One input or several, in Hugging Face's shape of the bundle's task; GET /openapi.json tells it in full."""
        transport = httpx.ASGITransport(late)
        async with httpx.AsyncClient(transport=transport, base_url="http://tuneship") as client:
            response = await client.post("/predict", json={"inputs": inputs, "parameters": parameters})
        if response.is_error:
            raise BentoMLException(response.json()["error"], error_code=HTTPStatus(response.status_code))
        return response.json()


BENTOML_OWN = {"/schema.json", "/docs", "/healthz"}
"""What BentoML's clients and people ask for, and the app has not; the documentation page has parts besides."""

PARTS_OF_DOCS = "/static_content/"


class Straight:
    """Leads all other requests to the app as it is.

    The method above is what tells BentoML's own clients of ``/predict``. Answered by BentoML, it would take bodies of
    any size, and each request would pay for BentoML's machinery; what is nowhere would be refused in another shape.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._inner = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        await (self._inner if _is_bentoml_own(scope) else late.app)(scope, receive, send)


def _is_bentoml_own(scope: Scope) -> bool:
    """Whether BentoML answers: its start and end, too."""
    return scope["type"] != "http" or scope["path"] in BENTOML_OWN or scope["path"].startswith(PARTS_OF_DOCS)


Tuneship.add_asgi_middleware(Straight)  # type: ignore[attr-defined]
