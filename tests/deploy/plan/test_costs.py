"""A million requests by each way of billing, against sums done by hand."""

from __future__ import annotations

import pytest

from deploy.plan.costs import Service, break_even, services
from deploy.plan.deployment import Need, Size
from deploy.plan.prices import Prices

PRICES = Prices.read().model_copy(
    update={
        "aws_lambda": Prices.read().aws_lambda.model_copy(update={"gb_second": 0.00001, "million_requests": 0.5}),
        "fargate": Prices.read().fargate.model_copy(update={"vcpu_hour": 0.04, "gb_hour": 0.005}),
        "cloud_run": Prices.read().cloud_run.model_copy(
            update={"vcpu_second": 0.00002, "gib_second": 0.000002, "million_requests": 0.4}
        ),
    }
)
BY_NAME = {each.name: each for each in services(PRICES, Need(1, 2000), request_seconds=0.0081)}


def test_lambda() -> None:
    """9 ms, which 8.1 are rounded up to, of 2000 MiB, and the request; at any rate."""
    expected = 0.5 + 1e6 * 0.009 * 2000 / 1024 * 0.00001
    assert BY_NAME["AWS Lambda"].cost(rate=1.0) == pytest.approx(expected)
    assert BY_NAME["AWS Lambda"].cost(rate=1000.0, replicas=7) == pytest.approx(expected)


def test_fargate() -> None:
    """A CPU and 2 GiB for the hour, over the hour's requests."""
    assert BY_NAME["AWS Fargate"].cost(rate=100.0) == pytest.approx(0.05 / 3600 / 100 * 1e6)
    assert BY_NAME["AWS Fargate"].cost(rate=100.0, replicas=3) == pytest.approx(3 * 0.05 / 3600 / 100 * 1e6)


def test_cloud_run() -> None:
    """Seconds with requests, and the requests."""
    second = 0.00002 + 2.0 * 0.000002
    assert BY_NAME["Cloud Run"].size == Size(1, 2048)
    assert BY_NAME["Cloud Run"].cost(rate=100.0) == pytest.approx(0.4 + second / 100 * 1e6)


def test_a_nodes_share() -> None:
    """The larger of a replica's shares of CPUs and memory."""
    assert BY_NAME["a node's share (c7i.large)"].hour == pytest.approx(0.08925 / 2)
    large = {each.name: each for each in services(PRICES, Need(1, 3072), 0.01)}
    assert large["a node's share (c7i.large)"].hour == pytest.approx(0.08925 * 3 / 4)


def test_services_that_are_too_small_are_left_out() -> None:
    """A need that only some offer is priced for those."""
    assert [each.name for each in services(PRICES, Need(16, 60_000), 0.01)] == ["AWS Fargate"]


def test_break_even() -> None:
    """At the rate found, two replicas cost what the function costs; it is one that a single replica holds."""
    function, container = BY_NAME["AWS Lambda"], BY_NAME["AWS Fargate"]
    rate = break_even(function, container, held_rate=100.0)
    assert rate is not None
    assert rate < 100
    assert container.cost(rate, replicas=2) == pytest.approx(function.cost(rate))


def test_break_even_of_many_replicas() -> None:
    """Where a replica holds little, the spare one has to be shared by more."""
    function, container = BY_NAME["AWS Lambda"], BY_NAME["AWS Fargate"]
    rate = break_even(function, container, held_rate=25.0)
    assert rate is not None
    replicas = next(count for count in range(2, 100) if (count - 1) * 25.0 >= rate)
    assert container.cost(rate, replicas) == pytest.approx(function.cost(rate))


def test_no_break_even() -> None:
    """Where a full replica costs more than the function, the function is cheaper at every rate."""
    slow = Service("slow", Size(1, 2048), hour=1.0, million=0.0, dated=PRICES.fargate)
    assert break_even(BY_NAME["AWS Lambda"], slow, held_rate=1.0) is None
