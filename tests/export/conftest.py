"""The proof's generated strings, fewer of them: ten thousand take seconds, and most tests are about something else."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def few_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `tests.export.proof.test_tokenizer` tests in full."""
    monkeypatch.setattr("export.proof.hard_strings.STRINGS", 300)
