"""What a million requests cost, by each way of billing. Networks, gateways, logs and idle hours come on top."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.plan.deployment import Need, Size
from deploy.plan.limits import cloud_run_size, fargate_size, lambda_size
from deploy.plan.prices import Dated, InstancePrices, Prices
from serving.errors import InputError

MILLION = 1_000_000
HOUR = 3600
BILLED_SECONDS = 0.001
"""Lambda rounds a request's duration up to it."""

MOST_REPLICAS = 1_000
"""Where the search for a break-even rate ends."""


@dataclass(frozen=True)
class Service:
    """One way of billing, with the size that it offers.

    ``hour``: of a replica that runs; ``million``: of a million requests besides, whatever the rate.
    """

    name: str
    size: Size
    hour: float
    million: float
    dated: Dated

    def cost(self, rate: float, replicas: int = 1) -> float:
        """A million requests, where so many replicas answer ``rate`` requests a second in all."""
        return self.million + replicas * self.hour / HOUR / rate * MILLION


def services(prices: Prices, need: Need, request_seconds: float) -> Iterator[Service]:
    """Those that offer the size; ``request_seconds``: of a lone request, which Lambda bills."""
    for make in (_lambda, _fargate, _cloud_run, _node, _sagemaker, _vertex):
        try:
            yield make(prices, need, request_seconds)
        except InputError:  # too small for the need
            continue


def break_even(function: Service, container: Service, held_rate: float) -> float | None:
    """Requests a second from which containers, N + 1 of them, cost no more than Lambda; None: Lambda is cheaper always.

    N containers hold N times ``held_rate``.
    """
    for replicas in range(2, MOST_REPLICAS):
        rate = replicas * container.hour / HOUR * MILLION / max(function.million - container.million, 1e-12)
        if rate <= (replicas - 1) * held_rate:
            return rate
    return None


def _lambda(prices: Prices, need: Need, seconds: float) -> Service:
    size, price = lambda_size(need), prices.aws_lambda
    billed = math.ceil(seconds / BILLED_SECONDS) * BILLED_SECONDS
    million = price.million_requests + MILLION * billed * size.memory_mb / 1024 * price.gb_second
    return Service("AWS Lambda", size, 0.0, million, price)


def _fargate(prices: Prices, need: Need, _: float) -> Service:
    size, price = fargate_size(need), prices.fargate
    return Service("AWS Fargate", size, size.cpus * price.vcpu_hour + size.memory_mb / 1024 * price.gb_hour, 0.0, price)


def _cloud_run(prices: Prices, need: Need, _: float) -> Service:
    """As if an instance always had a request: where it has pauses, they are not billed."""
    size, price = cloud_run_size(need), prices.cloud_run
    second = size.cpus * price.vcpu_second + size.memory_mb / 1024 * price.gib_second
    return Service("Cloud Run", size, second * HOUR, price.million_requests, price)


def _node(prices: Prices, need: Need, _: float) -> Service:
    """The share of a node that a replica reserves."""
    size = Size.exactly(need)
    node = prices.node.smallest(size.cpus, size.memory_mb)
    share = max(size.cpus / node.cpus, size.memory_mb / 1024 / node.memory_gib)
    return Service(f"a node's share ({node.name})", size, share * node.hour, 0.0, prices.node)


def _sagemaker(prices: Prices, need: Need, _: float) -> Service:
    return _instance("SageMaker", prices.sagemaker, need)


def _vertex(prices: Prices, need: Need, _: float) -> Service:
    return _instance("Vertex AI", prices.vertex, need)


def _instance(name: str, prices: InstancePrices, need: Need) -> Service:
    size = prices.size(need)
    hour = prices.smallest(size.cpus, size.memory_mb).hour
    return Service(f"{name} ({size.instance_type})", size, hour, 0.0, prices)
