"""Every fault that is planted in rows is found, with its row; what is right is left alone."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from checks.check import Checked, check_recipe
from checks.display import WIDTH, show
from checks.finding import Finding
from checks.names import NAMES, parse_names
from serving.errors import InputError
from tests.checks.conftest import EXTRA, WRONG
from tests.tiny import toy_rows
from tests.toys import write_toy
from trainer.recipe.recipe import load_recipe

FIRST_EXTRA = len(toy_rows()) + 1


def finding_of(checked: Checked, name: str) -> Finding:
    return next(finding for finding in checked.findings if finding.name == name)


def rows_of(checked: Checked, name: str) -> set[tuple[str, int]]:
    """File and number of the row that each example is about."""
    return {(each.rows[0].file, each.rows[0].number) for each in finding_of(checked, name).examples}


def test_every_check_tells_its_result(checked: Checked) -> None:
    """In the order of their names, each once."""
    assert [finding.name for finding in checked.findings] == list(NAMES)


def test_wrong_labels(checked: Checked) -> None:
    """Rows whose labels were swapped are found, few others are, and the right label is suggested."""
    found = {each.row.number - 1: each.suggested for each in checked.suggestions if each.row.file == "train.csv"}
    wrong = found.keys() & set(WRONG)
    assert len(wrong) >= 2
    assert len(found) <= 2 * len(WRONG)
    assert all(found[at] == toy_rows()[at][1] for at in wrong)


def test_leaks_and_contradictions(checked: Checked) -> None:
    """Test rows that training has, whatever case, punctuation or a typo; those with another label too."""
    assert rows_of(checked, "leaks") >= {("test.csv", 1), ("test.csv", 2), ("test.csv", 3)}
    assert ("test.csv", 3) in rows_of(checked, "conflicts")
    leak = next(each for each in finding_of(checked, "leaks").examples if each.rows[0].number == 1)
    assert [row.file for row in leak.rows] == ["test.csv", "train.csv"]


def test_labels(checked: Checked) -> None:
    """Two spellings of one label, a label of few rows, labels that a split lacks."""
    assert [each.note for each in finding_of(checked, "label-spellings").examples] == ["'Cancel' and 'cancel'"]
    assert "'Cancel': 1" in [each.note for each in finding_of(checked, "rare-labels").examples]
    assert "'refund': none in validation" in [each.note for each in finding_of(checked, "split-labels").examples]


@pytest.mark.parametrize(
    ("name", "number"),
    [("encoding", 0), ("personal-data", 1), ("language", 2), ("truncation", 3), ("encoding", 4)],
)
def test_texts(checked: Checked, name: str, number: int) -> None:
    """Mojibake, an address, another language, a text that is cut, a word in two scripts."""
    assert ("train.csv", FIRST_EXTRA + number) in rows_of(checked, name)
    assert len(rows_of(checked, name)) <= 2
    assert number < len(EXTRA)


def test_what_is_printed_and_passed_on(checked: Checked) -> None:
    """A table of 80 columns with file and row of the worst; JSON of all. Neither has personal data."""
    console = Console(file=io.StringIO(), width=200)
    show(console, checked)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, printed.splitlines())) <= WIDTH
    assert any(f"train.csv row {at + 1}" in printed for at in WRONG)
    written = json.dumps(checked.to_json())
    assert "ada@example.com" not in printed + written
    assert "[EMAIL]" in written


def test_what_fails() -> None:
    """``--fail-on`` takes the names of checks, and no others."""
    assert parse_names("leaks, conflicts") == ["leaks", "conflicts"]
    with pytest.raises(InputError, match="'leak' is no check; accepted are: label-errors, leaks"):
        parse_names("leaks,leak")


def test_failed_names_those_that_found_something(checked: Checked) -> None:
    """A check without a finding fails nothing."""
    assert checked.failed(["leaks", "unusable-rows"]) == ["leaks"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("toy", "checks_labels"),
    [
        ("multi-label-classification", True),
        ("regression", True),
        ("token-classification", False),
        ("question-answering", False),
        ("pairs without scores", False),
        ("ranked pairs", False),
    ],
)
def test_other_tasks(toy: str, checks_labels: bool, tiny_backbone: Path, tmp_path: Path) -> None:
    """Each task is checked as far as it can be, and says why not further."""
    found = check_recipe(load_recipe(write_toy(tmp_path, tiny_backbone, toy)))
    errors = finding_of(found, "label-errors")
    assert (errors.count is not None) == checks_labels
    assert errors.how
    assert finding_of(found, "leaks").count is not None
