"""A postprocessing: an answer that is not sure becomes "other". A recipe names it in data.postprocess."""

from __future__ import annotations

from typing import Any

LEAST, OTHER = 0.5, "other"


def other_if_unsure(answer: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """Labels with scores, the answered one first → the same, in another order."""
    if answer[0]["score"] >= LEAST:
        return answer
    return sorted(answer, key=lambda each: each["label"] != OTHER)
