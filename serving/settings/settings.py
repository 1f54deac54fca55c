"""The server's settings, read once from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Self, cast

from serving.batching.batch_shape import QueueLimits
from serving.bundle.manifest import DEVICES, LARGEST, Device
from serving.errors import InputError
from serving.inference.cpus import usable_cpus
from serving.settings.access import AccessPolicy
from serving.settings.environment import choice, date, positive, seconds
from serving.settings.lambda_settings import LambdaSettings
from serving.settings.limits import DEFAULT, ServerLimits
from serving.settings.log_settings import LogSettings
from serving.settings.platforms import DEFAULT_BUNDLE, Platform, served_bundle, with_platform

ROOT_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]{1,64}){1,8}")
"""No empty segment: ``//host`` would be another host's address."""

MOST_THREADS = 1024
"""Of each kind."""

LAMBDA_MB_PER_CPU = 1769
"""AWS Lambda gives one vCPU per 1,769 MB of memory (AWS Lambda's developer guide)."""


@dataclass(frozen=True)
class ServerSettings:
    """How to serve.

    Attributes:
        threads: CPU threads of the graph.
        trusted_key: a public key in PEM that must have signed the bundle, if given.
        created_after: refuse bundles that were exported before; only with ``trusted_key``.
        limits: of a request, in place of the bundle's.
        watch: seconds between checks for new versions, if any.
        traces: whether OpenTelemetry's variables ask for traces.
        grpc_port: None for no gRPC.
        root_path: a prefix of the paths, such as ``/support``.
        device: which variants may serve: those proven on the CPU, on a GPU, or ``auto`` for all.
        platform: what the hosting platform asks of the endpoints.
    """

    bundle: Path = DEFAULT_BUNDLE
    threads: int = 1
    server_limits: ServerLimits = field(default_factory=ServerLimits)
    trusted_key: Path | None = None
    created_after: datetime | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    watch: int | None = None
    log: LogSettings = field(default_factory=LogSettings)
    access_policy: AccessPolicy = field(default_factory=AccessPolicy)
    traces: bool = False
    grpc_port: int | None = None
    root_path: str = ""
    device: Device = "auto"
    platform: Platform = field(default_factory=Platform)
    aws_lambda: LambdaSettings = field(default_factory=LambdaSettings)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, *, options: Mapping[str, str] = MappingProxyType({})
    ) -> Self:
        """From docs/settings.md's variables; ``options`` override them. Raises InputError."""
        environment = with_platform({**environment, **options})
        if required_date(environment) and not required_key(environment):
            name = "TUNESHIP_CREATED_AFTER"
            raise InputError(f"{name} needs TUNESHIP_REQUIRE_SIGNATURE: else anybody can date a bundle", field=name)
        return cls(
            bundle=Path(served_bundle(environment)),
            threads=positive(environment, "TUNESHIP_THREADS", MOST_THREADS) or available_cpus(environment),
            server_limits=_server_limits(environment),
            trusted_key=required_key(environment),
            created_after=required_date(environment),
            limits=_limits(environment),
            watch=positive(environment, "TUNESHIP_WATCH"),
            log=LogSettings.from_environment(environment),
            access_policy=AccessPolicy.from_environment(environment),
            traces=_asks_for_traces(environment),
            grpc_port=positive(environment, "TUNESHIP_GRPC_PORT", 65_535),
            root_path=_root_path(environment),
            device=cast("Device", choice(environment, "TUNESHIP_DEVICE", DEVICES)),
            platform=Platform.from_environment(environment),
            aws_lambda=LambdaSettings.from_environment(environment),
        )


def _server_limits(environment: Mapping[str, str]) -> ServerLimits:
    bounds = DEFAULT.bounds
    explanations = positive(environment, "TUNESHIP_MAX_EXPLANATIONS", MOST_THREADS, least=0)
    return ServerLimits(
        bounds=QueueLimits(
            rows=positive(environment, "TUNESHIP_MAX_QUEUE") or bounds.rows,
            tokens=positive(environment, "TUNESHIP_MAX_QUEUE_TOKENS") or bounds.tokens,
        ),
        workers=positive(environment, "TUNESHIP_WORKERS", MOST_THREADS) or DEFAULT.workers,
        wait_seconds=seconds(environment, "TUNESHIP_WAIT_SECONDS", DEFAULT.wait_seconds),
        generation_seconds=seconds(environment, "TUNESHIP_GENERATION_SECONDS", DEFAULT.generation_seconds),
        max_cache_bytes=positive(environment, "TUNESHIP_MAX_CACHE_BYTES") or DEFAULT.max_cache_bytes,
        body_seconds=seconds(environment, "TUNESHIP_BODY_SECONDS", DEFAULT.body_seconds),
        head_seconds=seconds(environment, "TUNESHIP_HEAD_SECONDS", DEFAULT.head_seconds),
        keep_alive_seconds=seconds(environment, "TUNESHIP_KEEP_ALIVE_SECONDS", DEFAULT.keep_alive_seconds),
        max_bodies_bytes=positive(environment, "TUNESHIP_MAX_BODIES_BYTES") or DEFAULT.max_bodies_bytes,
        max_connections=positive(environment, "TUNESHIP_MAX_CONNECTIONS") or DEFAULT.max_connections,
        max_explanations=DEFAULT.max_explanations if explanations is None else explanations,
        load_seconds=seconds(environment, "TUNESHIP_LOAD_SECONDS", DEFAULT.load_seconds),
        drain_seconds=seconds(environment, "TUNESHIP_DRAIN_SECONDS", DEFAULT.drain_seconds, zero=True),
        grace_seconds=seconds(environment, "TUNESHIP_GRACE_SECONDS", DEFAULT.grace_seconds),
    )


def required_key(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Raises InputError for an empty variable, which would accept every bundle."""
    key = environment.get("TUNESHIP_REQUIRE_SIGNATURE")
    if key is None:
        return None
    if not key:
        name = "TUNESHIP_REQUIRE_SIGNATURE"
        raise InputError(f"{name} is empty; it takes the path of a public key in PEM, or is not set at all", field=name)
    return Path(key)


def required_date(environment: Mapping[str, str] = os.environ) -> datetime | None:
    """Raises InputError."""
    return date(environment, "TUNESHIP_CREATED_AFTER")


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where pulled bundles and data are kept."""
    return Path(environment.get("TUNESHIP_CACHE_DIR") or "~/.cache/tuneship").expanduser()


def _limits(environment: Mapping[str, str]) -> dict[str, int]:
    variables = {
        "max_inputs": "TUNESHIP_MAX_INPUTS",
        "max_characters": "TUNESHIP_MAX_CHARACTERS",
        "max_body_bytes": "TUNESHIP_MAX_BODY_BYTES",
    }
    found = {limit: positive(environment, variable, LARGEST) for limit, variable in variables.items()}
    return {limit: value for limit, value in found.items() if value}


def _root_path(environment: Mapping[str, str]) -> str:
    """As ``/support``; empty for none."""
    name = "TUNESHIP_ROOT_PATH"
    text = environment.get(name, "").rstrip("/")
    if text and not ROOT_PATH.fullmatch(text):
        accepted = "a path such as /support is accepted, of letters, digits and . _ ~ -"
        raise InputError(f"{name} is {environment[name]!r}; {accepted}", field=name)
    return text


def available_cpus(environment: Mapping[str, str] = os.environ) -> int:
    """By Lambda's memory, else by the container's quota and the affinity mask."""
    if memory := environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"):
        return max(1, int(memory) // LAMBDA_MB_PER_CPU)
    return usable_cpus()


def _asks_for_traces(environment: Mapping[str, str]) -> bool:
    """By OpenTelemetry's variables: https://opentelemetry.io/docs/specs/otel/protocol/exporter/"""
    refused = environment.get("OTEL_SDK_DISABLED") == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return not refused and any(environment.get(name) for name in endpoints)
