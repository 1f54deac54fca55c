"""`tuneship serve`: the HTTP app on uvicorn, in one process."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import uvicorn

from serving.errors import InputError
from serving.http.app import App, create_served_app
from serving.http.models.sources import Reach, find_served_bundles
from serving.http.server.connection import connection_class
from serving.http.server.descriptors import fit_connections
from serving.http.server.server import Server
from serving.http.server.signals import PendingSignal
from serving.inference.memory import trim_memory
from serving.observability.logs import set_up_logs
from serving.settings.limits import ServerLimits
from serving.settings.settings import ServerSettings


def serve_bundles(
    specs: Sequence[str],
    *,
    host: str,
    port: int,
    threads: int | None = None,
    options: Mapping[str, str] | None = None,
    reach: Reach = lambda _: None,
    on_ready: Callable[[list[dict[str, Any]]], None] = lambda models: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then answer the accepted requests; SIGHUP looks for new versions.

    ``specs`` are ``[NAME=]PATH``, the first is the default; ``options`` override the TUNESHIP_ variables; ``reach``
    finds bundles at other places; ``on_ready`` gets name, variant and digest of each model before the first request.

    Raises BundleError, or InputError if the port is in use, two models have one name, or a variable is malformed.
    """
    signal.signal(signal.SIGHUP, PendingSignal())
    # uvicorn raises the signal again after its shutdown, and as a container's first process it has no default.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    settings = ServerSettings.from_environment(options=options or {})
    set_up_logs(settings.log)
    settings.access_policy.keys()  # report bad keys before loading models
    settings = replace(settings, server_limits=fit_connections(settings.server_limits))
    listener = _listen(host, port, "--port")
    if settings.grpc_port:
        _listen(host, settings.grpc_port, "--grpc-port").close()
    bundles = find_served_bundles(settings, specs, threads=threads, reach=reach)
    # Load the models here: an error in the app's start-up would be shown as a traceback.
    models = []
    for bundle in bundles:
        manifest = bundle.preload().manifest
        models.append({"name": bundle.name, "variant": manifest.graph.variant, "sha256": manifest.digest})
        logging.getLogger("tuneship").info(
            "serving %s (%s, %d labels, sha256 %s) on http://%s:%d",
            bundle.name, manifest.graph.variant, len(manifest.labels), manifest.digest[:12], host, port,
        )  # fmt: skip
    app = create_served_app(settings, bundles)
    if settings.grpc_port:
        _serve_grpc(app, host, settings)
    trim_memory()
    on_ready(models)
    _run(app, settings.server_limits, listener)


def _run(app: App, server_limits: ServerLimits, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=connection_class(server_limits, app.server_state.metrics.count_refused_connection),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_graceful_shutdown=server_limits.grace_seconds,  # type: ignore[arg-type]  # uvicorn accepts floats
    )
    Server(config).run(sockets=[listener])


def _serve_grpc(app: App, host: str, settings: ServerSettings) -> None:
    try:
        from serving.entrypoints.grpc_api.server import add_grpc_server
    except ImportError as error:
        raise InputError(f"--grpc-port needs the extra grpc: pip install 'tuneship[grpc]' ({error})") from error
    names = settings.access_policy.allowed_hosts
    address = f"[{host}]:{settings.grpc_port}" if ":" in host else f"{host}:{settings.grpc_port}"
    add_grpc_server(app, address, host=names[0] if names else host)


def _listen(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, reuse_port=False)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot listen on {host}:{port}: {reason}. Choose another {option} or --host.") from error
