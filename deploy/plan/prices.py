"""The price file: list prices with their date, region and source."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.plan.deployment import Need, Size
from serving.errors import InputError, first_problem
from serving.files import read_regular

PRICES = Path(__file__).resolve().parent.parent / "prices.json"
MOST_BYTES = 2**20

OLD_DAYS = 180


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Dated(_Model):
    """Prices of one service; ``date``: when they were read."""

    date: datetime.date
    region: str
    source: str

    def describe(self) -> str:
        return f"{self.region}, {self.date.isoformat()}, {self.source}"

    def is_old(self, today: datetime.date) -> bool:
        return (today - self.date).days > OLD_DAYS


class LambdaPrices(Dated):
    gb_second: float = Field(ge=0)
    million_requests: float = Field(ge=0)


class FargatePrices(Dated):
    vcpu_hour: float = Field(ge=0)
    gb_hour: float = Field(ge=0)


class CloudRunPrices(Dated):
    """While requests are in the instance."""

    vcpu_second: float = Field(ge=0)
    gib_second: float = Field(ge=0)
    million_requests: float = Field(ge=0)


class Instance(_Model):
    name: str
    cpus: int = Field(ge=1)
    memory_gib: float = Field(gt=0)
    hour: float = Field(ge=0)


class InstancePrices(Dated):
    """From the cheapest on."""

    instances: list[Instance] = Field(min_length=1)

    def smallest(self, cpus: int, memory_mb: int) -> Instance:
        """The cheapest instance that has as much; raises InputError if none has."""
        fitting = [each for each in self.instances if each.cpus >= cpus and each.memory_gib * 1024 >= memory_mb]
        if not fitting:
            raise InputError(
                f"no instance of the price file has {cpus} CPUs and {memory_mb:,} MiB ({self.source}); "
                "add one to a copy of deploy/prices.json and give it with --prices",
                field="prices",
            )
        return min(fitting, key=lambda each: each.hour)

    def size(self, need: Need) -> Size:
        """The cheapest instance that has what is needed; raises InputError."""
        instance = self.smallest(need.cpus, need.memory_mb)
        return Size(instance.cpus, int(instance.memory_gib * 1024), instance.name)


class Prices(_Model):
    """By the service that bills."""

    schema_version: Literal[1]
    currency: str
    aws_lambda: LambdaPrices
    fargate: FargatePrices
    cloud_run: CloudRunPrices
    node: InstancePrices
    sagemaker: InstancePrices
    vertex: InstancePrices

    @classmethod
    def read(cls, path: Path = PRICES) -> Self:
        """Raises InputError."""
        try:
            return cls.model_validate_json(read_regular(path, MOST_BYTES))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}", field="prices") from error
        except ValidationError as error:
            message = f"{path} is no price file: {first_problem(error)}. deploy/prices.json is one"
            raise InputError(message, field="prices") from error
