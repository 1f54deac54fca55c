"""The figures of an export's memory."""

from __future__ import annotations

from bench.scale import MODELS, Usage, to_figures


def test_the_figures_are_relative_to_the_weights() -> None:
    """With and without the libraries; what is above the limit says so, with their share."""
    figures = {each.name: each for each in to_figures("x", 10, Usage(libraries=5, peak=35, seconds=2.0, bundle=None))}
    assert [each.value for each in figures.values()] == [35e-9, 3.5, 3.0, 2.0]
    assert figures["x: peak of export and proof"].note == "not proven"
    assert figures["x: peak, times the weights"].note == "above 3; the libraries are 0.50"


def test_the_sizes_are_those_of_the_models() -> None:
    """About 110 and 560 million parameters, beside positions and the like."""
    counts = [12 * size.layers * size.width**2 + size.vocabulary * size.width for size in MODELS.values()]
    assert [round(each / 1e6) for each in counts] == [108, 558]
