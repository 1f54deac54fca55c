"""Whether the scores of two runs or bundles can be tested against each other; without torch."""

from __future__ import annotations

from pathlib import Path

from inspection.subject import Subject


def why_not_tested(before: Subject, after: Subject, rows: Path | None) -> str:
    """Empty where the scores can be tested."""
    if before.task != after.task:
        return "the tasks differ"
    if before.score is None or after.score is None:
        return "a side has no score: it is not finished, or its test rows have no labels"
    if len({test_digest(each) for each in (before, after)}) > 1:
        return "the test rows differ, so that the scores say nothing about each other"
    if rows is None and "run" not in (before.kind, after.kind):
        return "bundles keep no test rows; give the run of one of them as --rows RUN"
    return ""


def test_digest(subject: Subject) -> str:
    """The sha256 of the test rows."""
    return str(subject.data.get("splits", {}).get("test", {}).get("sha256"))
