"""The kinds of personal data that a recipe can have replaced, and the version of what finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

PersonalData = Literal["email", "iban", "card", "ip", "phone"]
KINDS: Final[tuple[PersonalData, ...]] = get_args(PersonalData)
"""In the order they are looked for: a card's number is none of a telephone."""

VERSION: Final = 1
"""Of what is found. A model that was trained on texts without it has to read such texts."""


def to_settings(kinds: Sequence[PersonalData]) -> dict[str, Any]:
    """The settings of a task whose inputs lose them."""
    return {"redact": tuple(kinds), "redaction": VERSION} if kinds else {}
