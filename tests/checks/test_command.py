"""The command prints JSON, writes the rows to label again, and fails on what it is told to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.errors import InputError
from tuneship import app


@pytest.mark.slow
def test_json_output_and_exit_status(planted: Path, tmp_path: Path) -> None:
    """One run: findings as JSON on standard output alone, the file, and status 1 for the named check that found."""
    again = tmp_path / "again.jsonl"
    asked = ["check", str(planted), "--json", "--fail-on", "leaks,unusable-rows", "--output", str(again)]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 1
    found = {each["name"]: each["count"] for each in json.loads(result.stdout)["findings"]}
    assert found["leaks"] >= 3
    assert found["unusable-rows"] == 0
    assert "leaks" in result.stderr
    assert "unusable-rows" not in result.stderr
    assert len(again.read_text().splitlines()) == found["label-errors"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fail-on", "lekas"], "'lekas' is no check"),
        (["--output", "rows.txt"], "give --output-format"),
        (["--output", "nowhere/rows.csv"], "there is no folder"),
    ],
)
def test_mistakes_are_told_before_the_work(options: list[str], message: str, planted: Path) -> None:
    """A check that there is not, a file of no known format, a folder that is missing."""
    result = CliRunner().invoke(app, ["check", str(planted), *options])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
