"""Our counters, gauges and histograms are exposed to the letter as Prometheus' client exposes its own."""

from __future__ import annotations

import prometheus_client
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from serving.observability.prometheus_series import Counter, Gauge, Histogram

BOUNDS = (0.5, 1, 2.5, 1000)


@given(st.lists(st.floats(0, 2000) | st.sampled_from(BOUNDS), max_size=30), st.text(max_size=10))
def test_like_the_clients(values: list[float], label: str) -> None:
    """Whatever is counted, under whatever label, both expositions are the same."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counter, histogram = Counter("a_things", "Things.", ["x"]), Histogram("a_sizes", "Sizes.", ["x", "y"], BOUNDS)
    gauge = Gauge("a_level", "Level.", ["x"])
    for family in (counter, gauge, histogram):
        ours.register(family)
    client_counter = prometheus_client.Counter("a_things", "Things.", ["x"], registry=theirs)
    client_gauge = prometheus_client.Gauge("a_level", "Level.", ["x"], registry=theirs)
    client_histogram = prometheus_client.Histogram("a_sizes", "Sizes.", ["x", "y"], buckets=BOUNDS, registry=theirs)
    for value in values:
        counter.labels(label).inc()
        client_counter.labels(label).inc()
        gauge.labels(label).set(value)
        client_gauge.labels(label).set(value)
        histogram.labels(label, 1).observe(value)
        client_histogram.labels(label, 1).observe(value)
    prometheus_client.disable_created_metrics()  # series that we leave out
    try:
        assert generate_latest(ours) == generate_latest(theirs)
    finally:
        prometheus_client.enable_created_metrics()
