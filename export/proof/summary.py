"""A proof in a few figures, for programs; ``parity.json`` has all of them."""

from __future__ import annotations

from typing import Any

from export.proof.prove import Parity


def summarize(parity: Parity) -> dict[str, Any]:
    """Scores and their change are None where the rows have no labels."""
    change = parity.change
    return {
        "variant": parity.variant,
        "passed": parity.passed,
        "rows": parity.rows,
        "answers_equal": parity.answers_equal,
        "answers_compared": parity.compared,
        "metric": parity.metric,
        "trained": parity.reference_score,
        "served": parity.score,
        "change_interval": [change.low, change.high] if change else None,
        "level": change.level if change else None,
        "gates": [
            {"name": gate.name, "passed": gate.passed, "measured": gate.measured, "accepted": gate.accepted}
            for gate in parity.gates
        ],
    }
