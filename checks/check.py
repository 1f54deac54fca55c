"""All checks of a recipe's rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from checks.finding import Example, Finding, not_checked
from checks.findings.duplicates import find_duplicates
from checks.findings.entities import find_odd_mentions
from checks.findings.labels import find_label_problems
from checks.findings.texts import find_text_problems
from checks.findings.wrong_labels import Suggestion, suggest_labels, to_finding
from checks.names import NAMES
from checks.subject import Subject
from serving.observability.progress import begin_step
from trainer.recipe.recipe import Recipe
from trainer.setup.training_setup import prepare_setup, require_rows_in_memory


@dataclass(frozen=True)
class Checked:
    """``suggestions`` are the rows to label again, the worst first."""

    findings: list[Finding]
    rows: dict[str, int]
    suggestions: list[Suggestion] = field(default_factory=list)
    seconds: float = 0.0

    def failed(self, names: Sequence[str]) -> list[str]:
        """Those of these findings that found something."""
        return [finding.name for finding in self.findings if finding.name in names and finding.count]

    def to_json(self) -> dict[str, Any]:
        findings = [finding.to_json() for finding in self.findings]
        return {"rows": self.rows, "findings": findings, "seconds": self.seconds}


def check_recipe(recipe: Recipe) -> Checked:
    """Raises InputError for rows that cannot be read, as training does; nothing is written."""
    start = time.monotonic()
    require_rows_in_memory(recipe, "tuneship check")
    begin_step("reading the rows…")
    checked = check_subject(Subject(prepare_setup(recipe, Path.cwd())))
    return replace(checked, seconds=round(time.monotonic() - start, 1))


def check_subject(subject: Subject) -> Checked:
    suggestions = suggest_labels(subject)
    findings = [to_finding(subject, suggestions), *find_duplicates(subject)]
    findings += [find_odd_mentions(subject.rows)] if subject.task == "token-classification" else []
    findings += find_label_problems(subject) if subject.setup.splits.counts["train"] else []
    findings += [*find_text_problems(subject), _unusable_rows(subject)]
    done = {finding.name for finding in findings}
    findings += [not_checked(name, name, f"nothing to check for {subject.task}") for name in NAMES if name not in done]
    counts = {name: len(rows) for name, rows in subject.setup.splits.by_name()}
    listed = [] if isinstance(suggestions, str) else suggestions
    return Checked(sorted(findings, key=lambda finding: NAMES.index(finding.name)), counts, listed)


def _unusable_rows(subject: Subject) -> Finding:
    """Rows that ``data.unusable_rows: skip`` leaves out."""
    left_out = subject.setup.splits.unusable_rows
    examples = [
        Example(f"{each['file']}, rows {', '.join(map(str, each['rows'][:20]))}: {each['problem']}")
        for each in left_out
    ]
    count = sum(len(each["rows"]) for each in left_out)
    return Finding("unusable-rows", "rows left out", count, len(subject.rows) + count, "data.unusable_rows", examples)
