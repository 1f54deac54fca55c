"""The rows worth reading first: those on which the two sides are furthest apart."""

from __future__ import annotations

from typing import Any

from export.proof.served_answers import ServedAnswers

WORST_ROWS = 10
_SHOWN = 200


def worst_rows(served: ServedAnswers) -> list[dict[str, Any]]:
    """Ten inputs with both answers: those answered differently first, then by the largest logit difference."""
    largest = [found for found, _ in served.differences]
    same = served.same_answers
    order = sorted(range(len(largest)), key=lambda at: (same[at], -_comparable(largest[at])))[:WORST_ROWS]
    return [
        {
            "row": place,
            "inputs": str(served.encoded[place].item)[:_SHOWN],
            "reference": str(served.expected.answers[place])[:_SHOWN],
            "served": str(served.answers[place])[:_SHOWN],
            "decisions": [_decided(served, answers[place]) for answers in (served.expected.answers, served.answers)],
            "answers_equal": same[place],
            "abs_logit_difference": largest[place],
        }
        for place in order
    ]


def _decided(served: ServedAnswers, answer: Any) -> str:
    """What a caller acts on, in short."""
    return str(served.predictor.task.decision(answer))[:_SHOWN]


def _comparable(value: float) -> float:
    return value if value == value else float("inf")
