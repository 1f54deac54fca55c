"""Ray Serve's way in: `serve run serving.entrypoints.ray_serve:build bundle=DIR`; Ray starts and scales replicas."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ray import serve

from serving.errors import InputError
from serving.http.app import App, create_served_app
from serving.http.models.sources import find_served_bundles
from serving.observability.logs import set_up_logs
from serving.settings.settings import ServerSettings

VARIABLES = {"bundle": "TUNESHIP_BUNDLE", "threads": "TUNESHIP_THREADS"}
"""By the argument that sets it."""


def build(arguments: Mapping[str, Any]) -> serve.Application:
    """The application of a command or of a Serve config file; a config's ``deployments`` may scale it.

    ``bundle`` is a folder that every node has, ``threads`` are each replica's, and Ray sets aside as many CPUs
    (default 1). The command's other TUNESHIP_ variables reach the replicas too. Raises InputError.
    """
    if unknown := sorted(arguments.keys() - VARIABLES.keys()):
        raise InputError(f"{', '.join(unknown)}: Ray Serve's app has no such argument; it has {', '.join(VARIABLES)}")
    variables = {name: value for name, value in os.environ.items() if name.startswith("TUNESHIP_")}
    variables = {"TUNESHIP_THREADS": "1"} | variables | {VARIABLES[name]: str(arguments[name]) for name in arguments}
    settings = ServerSettings.from_environment(variables)
    find_served_bundles(settings)  # what is wrong shows in the command, not in a replica that starts again and again
    options = {"num_cpus": settings.threads, "runtime_env": {"env_vars": variables}}
    replica = serve.ingress(create_app)()
    return serve.deployment(replica, name="tuneship", ray_actor_options=options).bind()


def create_app() -> App:
    """In a replica, as its environment asks."""
    settings = ServerSettings.from_environment()
    set_up_logs(settings.log)
    return create_served_app(settings, find_served_bundles(settings))
