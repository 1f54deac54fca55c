"""Start a bundle's server on N CPUs, load it from others, and measure the engine alone."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from deploy.capacity.service_times import BatchTime
from deploy.measurement.load import LoadResult, Query, render, run_load
from deploy.measurement.measurement import Measurement
from deploy.measurement.process import Child, MeasurementError, free_port, pinned, spawned, wait_ready
from serving.batching.batch_shape import BatchShape
from serving.bundle.bundle import Bundle
from serving.bundle.cpu import describe_machine
from serving.errors import InputError
from serving.inference.cpus import allowed_cpus
from serving.tasks import task_of

CONNECTIONS = 32
WARMUP_SECONDS = 1.0
ENGINE_SECONDS = 300.0


@dataclass(frozen=True)
class _Cpus:
    server: set[int]
    load: set[int]

    @classmethod
    def choose(cls, count: int) -> _Cpus:
        """The first ones; the load shares them where there are no more. Raises InputError if there are too few."""
        cpus = sorted(allowed_cpus())
        if count > len(cpus):
            raise InputError(
                f"--cpus {count}: this machine has {len(cpus)}; measure on one that has more", field="cpus"
            )
        return cls(set(cpus[:count]), set(cpus[count:]) or set(cpus))

    @property
    def apart(self) -> bool:
        return not self.server & self.load


@dataclass(frozen=True)
class _Round:
    """A load, and the CPU seconds that the server took for it."""

    load: LoadResult
    cpu_seconds: float

    @property
    def cpu_seconds_a_request(self) -> float:
        return self.cpu_seconds / len(self.load.latencies)


@dataclass(frozen=True)
class _Engine:
    variant: str
    calls: list[BatchTime]
    requests: list[list[int]]
    lone_seconds: float
    lone_cpu_seconds: float
    encoding_seconds: float
    decoding_seconds: float


def measure(bundle: Bundle, cpus: int, seconds: float) -> Measurement:
    """``seconds`` are of the load on the server; the rest takes ten or so.

    Raises InputError, or MeasurementError with the log of a process that fails.
    """
    _require_linux()
    chosen = _Cpus.choose(cpus)
    with tempfile.TemporaryDirectory() as folder:
        engine = _measure_engine(bundle, chosen, Path(folder) / "engine.log")
        return _measure_server(bundle, chosen, engine, seconds, Path(folder) / "server.log")


def _require_linux() -> None:
    """Raise InputError elsewhere: processes are read by /proc, and what another system measured sizes no container."""
    if (system := platform.system()) != "Linux":
        raise InputError(
            f"a measurement needs Linux, and this is {system}: run tuneship deploy measure on a machine like those that"
            " will serve, and give its file as --measurement"
        )


def _measure_server(bundle: Bundle, cpus: _Cpus, engine: _Engine, seconds: float, log: Path) -> Measurement:
    port = free_port()
    command = [sys.executable, "-m", "tuneship", "serve", str(bundle.root.absolute()), "--port", str(port)]
    command += ["--threads", str(len(cpus.server))]
    with spawned("tuneship serve", command, log=log, cpus=cpus.server, inherited=_plain_environment()) as child:
        ready = wait_ready(child, port)
        queries = _queries(bundle, port)
        _load(child, bundle, queries, port, cpus, CONNECTIONS, WARMUP_SECONDS)
        lone = _load(child, bundle, queries, port, cpus, 1, seconds / 2)
        full = _load(child, bundle, queries, port, cpus, CONNECTIONS, seconds / 2)
        memory = child.peak_memory()
    # HTTP, both ways, is what is left of the CPU time.
    known = engine.encoding_seconds + engine.decoding_seconds
    rest = max(0.0, lone.cpu_seconds_a_request - engine.lone_cpu_seconds - known)
    return Measurement(
        date=datetime.now(UTC).replace(microsecond=0),
        machine=describe_machine(),
        cpus=len(cpus.server),
        load_apart=cpus.apart,
        bundle_digest=bundle.digest,
        variant=engine.variant,
        ready_seconds=round(ready, 3),
        memory_bytes=memory,
        lone_p50_seconds=_percentile(lone.load, 50),
        lone_p99_seconds=_percentile(lone.load, 99),
        full_requests_per_second=round(full.load.rate, 2),
        full_p99_seconds=_percentile(full.load, 99),
        connections=CONNECTIONS,
        receive_seconds=round(engine.encoding_seconds + rest / 2, 7),
        answer_seconds=round(engine.decoding_seconds + rest / 2, 7),
        transport_seconds=round(max(0.0, _percentile(lone.load, 50) - engine.lone_seconds - known - rest), 7),
        batch_rows=BatchShape().rows if bundle.manifest.graph.row_independent else 1,
        calls=engine.calls,
        requests=engine.requests,
    )


def _measure_engine(bundle: Bundle, cpus: _Cpus, log: Path) -> _Engine:
    """Raises MeasurementError."""
    command = [sys.executable, "-m", "deploy.measurement.engine_times", str(bundle.root.absolute())]
    name = "the engine's measurement"
    with spawned(name, [*command, str(len(cpus.server))], log=log, cpus=cpus.server) as child:
        try:
            status = child.process.wait(ENGINE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise MeasurementError(child.explain(f"did not end within {ENGINE_SECONDS:.0f} s")) from error
        if status:
            child.require_alive()
    record = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    return _Engine(**record | {"calls": [BatchTime(*call) for call in record["calls"]]})


def _queries(bundle: Bundle, port: int) -> list[Query]:
    """The golden inputs, each with what it decides."""
    task = task_of(bundle.manifest)
    return [
        Query(render(port, "/predict", {"inputs": [row.inputs]}), task.decision(row.outputs)) for row in bundle.golden
    ]


def _load(
    child: Child, bundle: Bundle, queries: Sequence[Query], port: int, cpus: _Cpus, connections: int, seconds: float
) -> _Round:
    """Raises MeasurementError unless every answer is right."""
    task, before = task_of(bundle.manifest), child.cpu_seconds()
    with pinned(cpus.load):
        load = run_load(
            port, queries, lambda answers: task.decision(answers[0]), connections=connections, seconds=seconds
        )
    child.require_alive()
    if load.errors:
        found = ", ".join(f"{count} × {error}" for error, count in load.errors.items())
        raise MeasurementError(child.explain(f"did not answer as its bundle does: {found}"))
    if not load.answered:
        raise MeasurementError(child.explain(f"answered nothing within {seconds:g} s; give more --seconds"))
    return _Round(load, child.cpu_seconds() - before)


def _percentile(load: LoadResult, percent: float) -> float:
    return round(float(np.percentile(load.latencies, percent)), 7)


def _plain_environment() -> dict[str, str]:
    """Without the caller's settings of a server, such as its API keys; they are not the deployment's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TUNESHIP_")}
    return kept | {"ORT_DISABLE_TELEMETRY": "1"}
