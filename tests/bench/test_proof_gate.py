"""The simulation of the proof's metric gate: its populations lose what they say, and no cell exceeds the level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from bench.proof_gate import BUDGET, ExactGate, simulated_probability, unlabelled_probability
from bench.proof_gate_figure import draw_figure
from bench.proof_populations import POPULATIONS, with_drop
from export.proof.statistics.metric_change import LEVEL


@pytest.mark.parametrize("name", POPULATIONS)
def test_each_population_loses_the_budget(name: str) -> None:
    """The true drop is the budget, and the kinds' shares make one."""
    population = with_drop(POPULATIONS[name], BUDGET)
    assert population.drop == pytest.approx(BUDGET, rel=1e-6)
    assert population.shares.sum() == pytest.approx(1)
    assert (population.shares >= 0).all()


@pytest.mark.parametrize("rows", [20, 736])
def test_accuracy_at_the_budget_passes_rarely(rows: int) -> None:
    """Exactly: also where many rows are lost and won."""
    assert max(ExactGate(rows).probability(won + BUDGET, won) for won in (0.0, 0.001, 0.005)) <= LEVEL


def test_without_won_rows_it_is_a_binomial() -> None:
    """800 rows pass with no row lost only; 1,500 with up to two."""
    assert ExactGate(800).probability(BUDGET, 0.0) == pytest.approx((1 - BUDGET) ** 800)
    assert ExactGate(1500).probability(BUDGET, 0.0) == pytest.approx(binom.cdf(2, 1500, BUDGET))


@pytest.mark.slow
@pytest.mark.parametrize("won", [0.0, 0.002])
def test_rows_without_labels_keep_the_level(won: float) -> None:
    """On 150 test rows and 1,000 others, a variant at the budget passes rarely; one that changes nothing always."""
    assert unlabelled_probability(150, 1000, won + BUDGET, won) <= LEVEL
    assert unlabelled_probability(150, 1000, 0.0, 0.0) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("word F1, rows lost wholly", 736),
        ("macro-F1, rows of the rarest of 4 labels (2 %)", 300),
        ("entity F1, whole sentences", 1821),
        ("Pearson, every answer a little", 300),
        ("Spearman, the far end of the scale", 736),
    ],
)
def test_the_others_pass_rarely_too(name: str, rows: int) -> None:
    """60 seeded test sets: at most the level within three standard errors."""
    share, error = simulated_probability(with_drop(POPULATIONS[name], BUDGET), rows, draws=60)
    assert share <= LEVEL + 3 * error


@pytest.mark.slow
def test_the_figure_has_a_line_for_each_number_of_rows(tmp_path: Path) -> None:
    """Named, with the budget and the level."""
    drops = np.linspace(0, 0.008, 5).tolist()
    curves = {rows: [0.9, 0.5, 0.2, 0.1, 0.0] for rows in (150, 736, 1821, 3080, 5000)}
    draw_figure(curves, drops, tmp_path / "a.svg", BUDGET)
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
