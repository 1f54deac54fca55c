"""The scripted server of the benchmarks' tests."""

from __future__ import annotations

from tests.bench.conftest import scripted  # noqa: F401 - a fixture
