"""docs/errors.md follows the server's code."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from docsite import errors_page
from tests.paths import ROOT


def test_the_page_is_current() -> None:
    """docs/errors.md is what the code says (make docs writes it)."""
    assert (ROOT / "docs" / "errors.md").read_text() == errors_page.errors_page()


def test_statuses_are_found_wherever_the_code_refuses() -> None:
    """By an exception's class, by a call in an endpoint, by the connection, in Lambda's reply."""
    found = errors_page.statuses()
    assert found[429] == {"overloaded", "connection"}
    assert found[413] == {"too_large"}
    assert found[415] == {"http"}
    assert found[401] == {"unauthorized"}


def test_a_status_without_a_meaning_is_an_error(tmp_path: Path) -> None:
    """As when an endpoint begins to answer with one that nobody has described."""
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "new.py").write_text('raise HTTPException(418, "a teapot")')
    with (
        mock.patch.object(errors_page, "ROOT", tmp_path),
        pytest.raises(ValueError, match="418"),
    ):
        errors_page.errors_page()
