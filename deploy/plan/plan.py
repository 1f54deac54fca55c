"""`tuneship deploy plan`: a bundle and its measurement to a deployment, which touches no cloud."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

from deploy.capacity.replicas import HeldLoad, held_load, replicas_of
from deploy.measurement.measurement import Measurement
from deploy.plan.costs import Service, break_even, services
from deploy.plan.deployment import Deployment, Size, check_image, check_name, name_of
from deploy.plan.prices import OLD_DAYS, Prices
from deploy.plan.sizing import (
    LEAST_REPLICAS,
    MOST_REPLICAS,
    concurrency_of,
    environments_of,
    need_of,
)
from deploy.plan.targets import TARGETS
from deploy.plan.targets.base import Target
from serving.bundle.bundle import Bundle
from serving.errors import InputError, did_you_mean, quote


@dataclass(frozen=True)
class Request:
    """What a caller asks for; ``rate`` in requests a second, ``p99`` in seconds."""

    target: Target
    image: str
    name: str | None = None
    rate: float | None = None
    p99: float | None = None
    model_image: str = ""

    @classmethod
    def of(
        cls,
        target: str,
        image: str,
        name: str | None = None,
        rate: float | None = None,
        p99_ms: float | None = None,
        model_image: str | None = None,
    ) -> Request:
        """Raises InputError."""
        if target not in TARGETS:
            known = f"{', '.join(TARGETS)}{did_you_mean(target, TARGETS)}"
            raise InputError(f"target {quote(target)}: accepted are {known}", field="target")
        found, p99 = TARGETS[target], None if p99_ms is None else p99_ms / 1000
        _check_images(found, check_image(image), model_image)
        return cls(found, image, name and check_name(name), rate, p99, model_image or "")

    def name_for(self, bundle: Bundle) -> str:
        """Of the deployment."""
        return self.name or name_of(bundle.manifest.name)


@dataclass(frozen=True)
class Plan:
    """Every figure that PLAN.md has."""

    request: Request
    bundle: Bundle
    measurement: Measurement
    prices: Prices
    signature: str

    @cached_property
    def held(self) -> HeldLoad | None:
        """Of a replica; None where texts are generated and no load was given."""
        if not self.measurement.calls and self.request.rate is None and self.request.p99 is None:
            return None
        return held_load(self.measurement.server_model(), self.measurement.requests, self.request.p99)

    @property
    def replica_rate(self) -> float:
        """Requests a second of a replica: as simulated, or where that is not, as measured."""
        return self.held.rate if self.held else self.measurement.full_requests_per_second

    @property
    def request_seconds(self) -> float:
        """Of a lone request in the function: the measured one without its transport."""
        return max(1e-4, self.measurement.lone_p50_seconds - self.measurement.transport_seconds)

    @cached_property
    def size(self) -> Size:
        return self.request.target.size(need_of(self.measurement), self.prices)

    @property
    def replicas(self) -> int:
        """N + 1 of the load."""
        return replicas_of(self.request.rate, self.held) if self.request.rate and self.held else LEAST_REPLICAS

    @property
    def concurrency(self) -> int:
        """Of a replica; of a Lambda function in all."""
        if self.request.target.service == "AWS Lambda":
            rate = self.request.rate
            return environments_of(rate, self.request_seconds) if rate else 0
        return concurrency_of(self.held) if self.held else self.measurement.connections

    @cached_property
    def deployment(self) -> Deployment:
        return Deployment(
            name=self.request.name_for(self.bundle),
            image=self.request.image,
            bundle_digest=self.bundle.digest,
            cpus=self.size.cpus,
            memory_mb=self.size.memory_mb,
            threads=self.measurement.cpus,
            concurrency=self.concurrency,
            min_replicas=self.replicas,
            max_replicas=max(MOST_REPLICAS, 2 * self.replicas),
            instance_type=self.size.instance_type,
            p99_ms=math.ceil(1000 * self.request.p99) if self.request.p99 else 0,
            model_image=self.request.model_image,
        )

    @cached_property
    def services(self) -> list[Service]:
        return list(services(self.prices, need_of(self.measurement), self.request_seconds))

    @property
    def service(self) -> Service | None:
        """That bills the target."""
        return next((each for each in self.services if each.name.startswith(self.request.target.service)), None)

    @property
    def break_even(self) -> tuple[Service, float | None] | None:
        """A container service, the target's or Fargate, and the rate from which it costs no more than Lambda."""
        function = next((each for each in self.services if each.name == "AWS Lambda"), None)
        container = self.service if self.service and self.service.hour else None
        container = container or next((each for each in self.services if each.name == "AWS Fargate"), None)
        if function is None or container is None:
            return None
        return container, break_even(function, container, self.replica_rate)

    def cost_at_load(self, service: Service) -> float | None:
        """A million requests at the asked-for load, with N + 1 replicas."""
        return service.cost(self.request.rate, self.replicas) if self.request.rate else None

    def warnings(self, today: date | None = None) -> list[str]:
        """What makes the plan's figures doubtful."""
        day, own = today or datetime.now(UTC).date(), self.service
        old = [own.dated] if own and own.dated.is_old(day) else []
        found = [
            f"prices of {each.date.isoformat()} are more than {OLD_DAYS} days old ({each.source}): compare them with "
            "today's, and give your own with --prices"
            for each in old
        ]
        if not self.measurement.load_apart:
            found.append("the load shared the server's CPUs; times and costs are higher than they need be")
        return found

    def to_json(self) -> dict[str, Any]:
        even = self.break_even
        return {
            "target": self.request.target.name,
            "deployment": asdict(self.deployment),
            "signature": self.signature,
            "measurement": self.measurement.model_dump(mode="json", exclude={"calls", "requests"}),
            "replica": asdict(self.held) if self.held else {"rate": self.replica_rate},
            "currency": self.prices.currency,
            "cost_per_million_requests": {
                each.name: {
                    "at_replica_rate": round(each.cost(self.replica_rate), 4),
                    "at_load": None if (cost := self.cost_at_load(each)) is None else round(cost, 4),
                    "prices": each.dated.model_dump(mode="json", include={"date", "region", "source"}),
                }
                for each in self.services
            },
            "break_even": even and {"container": even[0].name, "requests_per_second": _rounded(even[1])},
        }


def _check_images(target: Target, image: str, model_image: str | None) -> None:
    registry = target.registry
    if registry and not registry.names.fullmatch(image.partition("@")[0]):
        accepted = f"{target.name} takes images that are named {registry.form}@sha256:DIGEST"
        raise InputError(f"--image {quote(image)}: {accepted}", field="image")
    if target.model_image and not model_image:
        message = f"{target.name} needs --model-image: the bundle in an image of its own, as model.Dockerfile makes it"
        raise InputError(message, field="model_image")
    if model_image and not target.model_image:
        raise InputError(f"--model-image: {target.name} serves the bundle that is in --image", field="model_image")
    if model_image:
        check_image(model_image, "--model-image")


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else round(value, 3)
