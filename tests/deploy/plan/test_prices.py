"""Prices have a date, a region and a source, and grow old."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from deploy.plan.prices import OLD_DAYS, PRICES, Prices
from serving.errors import InputError


def test_the_projects_own() -> None:
    """deploy/prices.json is complete; its sources are words, not addresses."""
    prices = Prices.read()
    dated = [getattr(prices, name) for name in Prices.model_fields if name not in {"schema_version", "currency"}]
    assert all(each.region and each.source and each.date < date.today() for each in dated)
    assert "://" not in PRICES.read_text()


def test_age() -> None:
    """The day after 180 days prices are old."""
    prices = Prices.read().fargate
    assert not prices.is_old(prices.date + timedelta(days=OLD_DAYS))
    assert prices.is_old(prices.date + timedelta(days=OLD_DAYS + 1))


def test_the_cheapest_instance_that_fits() -> None:
    """CPUs and memory both count."""
    prices = Prices.read().node
    assert prices.smallest(1, 1000).name == "c7i.large"
    assert prices.smallest(1, 5000).name == "c7i.xlarge"
    with pytest.raises(InputError, match=r"no instance .* has 512 CPUs .* --prices"):
        prices.smallest(512, 1000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"fargate": {}}, r"fargate\.date: Field required", id="undated"),
        pytest.param({"currency": None}, "currency", id="no currency"),
        pytest.param({"azure": {}}, "azure: Extra inputs are not permitted", id="unknown"),
    ],
)
def test_malformed(tmp_path: Path, change: dict[str, object], message: str) -> None:
    """A price file's first wrong field is named."""
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(json.loads(PRICES.read_text()) | change))
    with pytest.raises(InputError, match=message):
        Prices.read(path)
