"""Drift: small without change, large after a shift, silent before there is enough data."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from starlette.testclient import TestClient

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import REFERENCE, Reference
from serving.errors import BundleError
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.observability.drift import BLOCK_INPUTS, BLOCKS, MIN_INPUTS, Drift, _chi_square_99, psi, reference_of
from serving.observability.metrics import Metrics
from serving.observability.model_metrics import ModelMetrics
from serving.protocols.base import Reply
from tests.bundles import forge, manifest_of, seal
from tests.serving.observability.test_metrics import samples, total

LABELS = ["a", "b", "c", "d"]
Seen = list[tuple[int, Sequence[str]]]


def seen(count: int, seed: int, weights: Sequence[int] = (4, 3, 2, 1), longer: int = 0) -> Seen:
    """Inputs as they come: a length and a label each."""
    chance = random.Random(seed)
    return [(chance.randint(3, 40) + longer, chance.choices(LABELS, weights)) for _ in range(count)]


def made_of(rows: Seen) -> Reference:
    """The reference of rows."""
    return reference_of([length for length, _ in rows], [labels for _, labels in rows])


def after(drift: Drift, rows: Seen) -> Drift:
    """The same, when it has seen the rows."""
    for length, labels in rows:
        drift.count(length, labels)
    return drift


def test_same_distribution() -> None:
    """On the reference's own distribution both indices are under 0.1 and their chance level."""
    indices = after(Drift(made_of(seen(3000, 1)), LABELS), seen(5000, 2)).indices()
    assert set(indices) == {"label", "length"}
    for each in indices.values():
        assert each.value < 0.1
        assert each.value < each.chance


@pytest.mark.parametrize(
    ("weights", "longer", "moved", "still"),
    [((1, 2, 3, 4), 0, "label", "length"), ((4, 3, 2, 1), 15, "length", "label")],
)
def test_shifted(weights: Sequence[int], longer: int, moved: str, still: str) -> None:
    """The shifted distribution exceeds 0.25 and chance, the other does not."""
    indices = after(Drift(made_of(seen(3000, 1)), LABELS), seen(5000, 2, weights, longer)).indices()
    assert indices[moved].value > max(0.25, indices[moved].chance)
    assert indices[still].value < 0.1


def test_new_label() -> None:
    """A label that the evaluation set lacks is drift."""
    drift = Drift(made_of(seen(3000, 1, (1, 1, 1, 0))), LABELS)
    assert after(drift, seen(5000, 2, (0, 0, 0, 1))).indices()["label"].value > 1


def test_no_labels_at_all() -> None:
    """Inputs without a label are a bin: an extractor that falls silent shows as drift."""
    rows = [(length, labels if length % 3 else []) for length, labels in seen(3000, 1)]
    silent: Seen = [(length, []) for length, _ in seen(2000, 2)]
    assert after(Drift(made_of(rows)), silent).indices()["label"].value > 1


def test_too_few() -> None:
    """Nothing is published below MIN_INPUTS."""
    drift = after(Drift(made_of(seen(3000, 1)), LABELS), seen(MIN_INPUTS - 1, 2))
    assert drift.indices() == {}
    assert after(drift, seen(1, 3)).indices()


def test_window() -> None:
    """Old inputs leave the window."""
    drift = after(Drift(made_of(seen(3000, 1)), LABELS), seen(5000, 2, (0, 0, 0, 1)))
    assert drift.indices()["label"].value > 1
    assert after(drift, seen(BLOCK_INPUTS * BLOCKS, 3)).indices()["label"].value < 0.1
    assert BLOCK_INPUTS * (BLOCKS - 1) <= drift.inputs <= BLOCK_INPUTS * BLOCKS


def test_tasks_without_labels() -> None:
    """For vectors, numbers and texts only lengths are compared."""
    drift = Drift(made_of([(length, []) for length, _ in seen(1000, 1)]), [])
    assert set(after(drift, [(length, []) for length, _ in seen(500, 2)]).indices()) == {"length"}


def test_formula() -> None:
    """The index is the published formula, with half a count added to each bin."""
    e, a = [50.5 / 101, 50.5 / 101], [25.5 / 101, 75.5 / 101]
    expected = sum((x - y) * math.log(x / y) for x, y in zip(a, e, strict=True))
    assert psi([50, 50], [25, 75]).value == pytest.approx(expected)
    assert psi([7, 9], [7, 9]).value == 0


@pytest.mark.parametrize("freedom", [1, 2, 9, 76, 150])
def test_chance(freedom: int) -> None:
    """The approximation is chi square's 99th percentile to about a hundredth."""
    assert _chi_square_99(freedom) == pytest.approx(chi2.ppf(0.99, freedom), rel=0.015)


def test_chance_holds() -> None:
    """About 1 in 100 windows without drift exceeds it, even with many labels and few counts."""
    chance, passed = random.Random(7), 0
    for _ in range(400):
        reference, late = ([0] * 20 for _ in range(2))
        for column, count in ((reference, 800), (late, 500)):
            for label in chance.choices(range(20), k=count):
                column[label] += 1
        found = psi(reference, late)
        passed += found.value > found.chance
    assert passed <= 16


@given(st.lists(st.integers(1, 600), min_size=1), st.lists(st.lists(st.sampled_from(LABELS), max_size=3), min_size=1))
def test_any_reference(lengths: list[int], outcomes: list[list[str]]) -> None:
    """Every row is counted once, in rising bins, none of them empty."""
    reference = reference_of(lengths, outcomes)
    assert sum(reference.lengths) == len(lengths)
    assert reference.length_bounds == sorted(set(reference.length_bounds))
    assert len(reference.lengths) == len(reference.length_bounds) + 1 <= 10
    assert all(reference.lengths)
    assert sum(reference.outcomes.values()) == sum(max(1, len(labels)) for labels in outcomes)


def test_export_records_it(tiny_bundle: Path, predictor: Predictor) -> None:
    """A bundle has its evaluation rows' counts in a sealed file, without their texts."""
    bundle = Bundle.open(tiny_bundle)
    assert REFERENCE in bundle.manifest.files
    reference = bundle.reference
    assert reference is not None
    assert set(reference.outcomes) <= set(predictor.manifest.labels)
    assert sum(reference.outcomes.values()) == sum(reference.lengths) > 0


def test_published(tiny_bundle: Path, predictor: Predictor, texts: list[str]) -> None:
    """A server publishes both indices and the window's inputs once there are enough."""
    with TestClient(create_app(lambda: Predictor.open(tiny_bundle))) as client:
        name = predictor.manifest.name
        assert total(samples(client), "tuneship_drift_inputs", model=name) == 0
        assert not any(each == "tuneship_drift_psi" for each, _ in samples(client))
        for _ in range(3):
            client.post("/predict", json={"inputs": (["where is my parcel?"] * 100)})
        found = samples(client)
        assert total(found, "tuneship_drift_inputs", model=name) == 300
        for distribution in ("label", "length"):
            value = total(found, "tuneship_drift_psi", distribution=distribution)
            assert value > max(0.25, total(found, "tuneship_drift_psi_chance", distribution=distribution))


def test_begins_anew(predictor: Predictor) -> None:
    """A new bundle starts with an empty window."""
    metrics = Metrics()
    model = ModelMetrics(metrics, "m", predictor.bundle)
    answers = predictor.predict(["stop"] * MIN_INPUTS)
    model.count_answers(Reply(predictor.encode(["stop"] * MIN_INPUTS), [], answers, answers))
    assert b"tuneship_drift_psi{" in metrics.render()
    ModelMetrics(metrics, "m", predictor.bundle)
    assert b"tuneship_drift_psi{" not in metrics.render()


def test_without_reference(tiny_bundle: Path, tmp_path: Path) -> None:
    """A bundle without a reference is served without drift metrics."""
    bundle = forge(tiny_bundle, tmp_path / "bundle")
    (bundle / REFERENCE).unlink()
    seal(bundle, manifest_of(bundle))
    with TestClient(create_app(lambda: Predictor.open(bundle))) as client:
        assert client.post("/predict", json={"inputs": "stop"}).status_code == 200
        assert not any("drift" in name for name, _ in samples(client))


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"outcomes": {}, "length_bounds": [], "lengths": [1], "more": 1}'])
def test_malformed_reference(tiny_bundle: Path, tmp_path: Path, content: bytes) -> None:
    """A malformed reference is a BundleError that names the file."""
    bundle = forge(tiny_bundle, tmp_path / "bundle", files={REFERENCE: content})
    with pytest.raises(BundleError, match=r"^reference\.json is not a reference for drift"):
        _ = Bundle.open(bundle).reference
