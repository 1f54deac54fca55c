"""What was measured of a bundle's server on one machine."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.capacity.service_times import BatchTime, ServiceTimes
from deploy.capacity.simulation import ServerModel
from serving.batching.batch_shape import BatchShape
from serving.bundle.bundle import Bundle
from serving.bundle.cpu import Machine
from serving.errors import InputError, first_problem
from serving.files import read_regular

MOST_BYTES = 4 * 2**20


class Measurement(BaseModel):
    """Seconds and bytes. ``requests`` has the tokens of each golden input's windows."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    date: datetime = Field(description="UTC")
    machine: Machine
    cpus: int = Field(ge=1, description="that the server was pinned to; as many threads")
    load_apart: bool = Field(description="whether the load had CPUs of its own")
    bundle_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    variant: str
    ready_seconds: float = Field(gt=0, description="from the process's start until /readyz answers 200")
    memory_bytes: int = Field(gt=0, description="highest resident memory, start and load included")
    lone_p50_seconds: float = Field(gt=0, description="of requests one after another")
    lone_p99_seconds: float = Field(gt=0)
    full_requests_per_second: float = Field(gt=0, description="answers to `connections` connections")
    full_p99_seconds: float = Field(gt=0)
    connections: int = Field(ge=1)
    receive_seconds: float = Field(ge=0, description="CPU time of a request before the queue")
    answer_seconds: float = Field(ge=0, description="CPU time of a request after the engine")
    transport_seconds: float = Field(ge=0, description="of a lone request, neither engine nor CPU time outside of it")
    batch_rows: int = Field(ge=1, description="most rows of one call")
    calls: list[BatchTime] = Field(description="of the engine; none where texts are generated")
    requests: list[list[int]] = Field(min_length=1)

    @classmethod
    def read(cls, path: Path, bundle: Bundle) -> Self:
        """Raises InputError for what is no measurement, or another bundle's."""
        try:
            found = cls.model_validate_json(read_regular(path, MOST_BYTES))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}", field="measurement") from error
        except ValidationError as error:
            message = f"{path} is no measurement: {first_problem(error)}. Make one: tuneship deploy measure BUNDLE"
            raise InputError(message, field="measurement") from error
        if found.bundle_digest != bundle.digest:
            raise InputError(
                f"{path} was measured with another bundle, sha256 {found.bundle_digest[:12]}…; {bundle.root} has "
                f"{bundle.digest[:12]}…. Measure it: tuneship deploy measure {bundle.root}",
                field="measurement",
            )
        return found

    def to_json(self) -> str:
        return self.model_dump_json(indent=2) + "\n"

    def server_model(self) -> ServerModel:
        """Raises InputError where texts are generated, which is not simulated."""
        if not self.calls:
            raise InputError(
                "--requests-per-second and --p99-ms need tasks that answer in one call of the engine; this bundle "
                "generates texts, whose length decides. Load a server of it, and plan by the rate that you measure.",
                field="requests_per_second",
            )
        return ServerModel(
            ServiceTimes(tuple(self.calls)),
            receive=self.receive_seconds,
            answer=self.answer_seconds,
            transport=self.transport_seconds,
            shape=BatchShape(rows=self.batch_rows),
        )
