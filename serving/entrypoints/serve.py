"""`tuneship serve`: the HTTP surface on uvicorn, one process. BentoML serves the same app from `serving.service`."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from serving.errors import InputError
from serving.http.app import App, create_app
from serving.http.models.sources import BundleFolder, find_bundles
from serving.http.server.connection import bounded
from serving.http.server.server import Server
from serving.http.server.signals import PendingSignal
from serving.inference.memory import trim_memory
from serving.inference.predictor import Predictor
from serving.observability.logs import set_up_logs
from serving.settings.limits import ServerLimits
from serving.settings.settings import ServerSettings


def serve_bundles(
    specs: Sequence[str],
    *,
    host: str,
    port: int,
    threads: int | None = None,
    trusted_key: Path | None = None,
    options: Mapping[str, str] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was accepted. SIGHUP looks for new versions.

    SIGTERM is announced first, see `serving.http.server.signals`; SIGINT, which is a person's, is not.

    ``specs`` are ``[NAME=]PATH``, the first the default; ``options`` are TUNESHIP_ variables that go before the
    environment's.

    Raises:
        BundleError: a bundle cannot be trusted, or does not answer on this machine as it did when it was proven.
        InputError: the address cannot be listened on, two models have one name, or a TUNESHIP_ variable is malformed.
    """
    signal.signal(signal.SIGHUP, PendingSignal())
    settings = ServerSettings.from_environment(options=options or {})
    set_up_logs(settings.log)
    settings.access_policy.keys()  # what is wrong with them is told before anything is loaded
    listener = _listen(host, port, "--port")
    if settings.grpc_port:
        _listen(host, settings.grpc_port, "--grpc-port").close()
    key = trusted_key or settings.trusted_key
    bundles = find_bundles(specs, threads=threads or settings.threads, trusted_key=key, limits=settings.limits)
    # Loaded here and not in the app's start-up, so that a bad bundle is a message and not a traceback.
    for bundle in bundles:
        _announce(bundle.name, bundle.preload(), f"http://{host}:{port}")
    app = _app(bundles, settings)
    if settings.grpc_port:
        _serve_grpc(app, host, settings)
    trim_memory()
    _run(app, settings.server_limits, listener)


def _app(bundles: Sequence[BundleFolder], settings: ServerSettings) -> App:
    return create_app(
        *bundles,
        watch=settings.watch,
        server_limits=settings.server_limits,
        log=settings.log,
        access_policy=settings.access_policy,
        traces=settings.traces,
    )


def _run(app: App, server_limits: ServerLimits, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=bounded(server_limits, app.server_state.metrics.count_refused_connection),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_graceful_shutdown=server_limits.grace_seconds,  # type: ignore[arg-type]  # any number will do
    )
    # When all is answered uvicorn raises the signal anew, which would end the process as if it had been killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    Server(config).run(sockets=[listener])


def _serve_grpc(app: App, host: str, settings: ServerSettings) -> None:
    try:
        from serving.entrypoints.grpc_api.server import serve_beside
    except ImportError as error:
        raise InputError(f"--grpc-port needs the extra grpc: pip install '.[grpc]' ({error})") from error
    names = settings.access_policy.allowed_hosts
    address = f"[{host}]:{settings.grpc_port}" if ":" in host else f"{host}:{settings.grpc_port}"
    serve_beside(app, address, host=names[0] if names else host, grace=settings.server_limits.grace_seconds)


def _end(_: int, __: FrameType | None) -> None:
    sys.exit(0)


def _listen(host: str, port: int, option: str) -> socket.socket:
    try:
        return socket.create_server((host, port), family=_family(host), reuse_port=False)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot listen on {host}:{port}: {reason}. Choose another {option} or --host.") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _announce(name: str, predictor: Predictor, address: str) -> None:
    manifest = predictor.manifest
    logging.getLogger("tuneship").info(
        "serving %s (%s, %d labels, sha256 %s) on %s", name, manifest.graph.variant, len(manifest.labels),
        manifest.digest[:12], address,
    )  # fmt: skip
