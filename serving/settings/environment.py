"""Environment variables to values. Errors are InputError and name the variable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from serving.errors import InputError

Environment = Mapping[str, str]

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def positive(environment: Environment, name: str, most: int | None = None, *, least: int = 1) -> int | None:
    """A whole number from ``least`` to ``most``; None if empty or unset."""
    text = environment.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or int(text) < least or (most and int(text) > most):
        accepted = f"from {least} to {most:,}" if most else f"of at least {least}"
        raise InputError(f"{name} is {text!r}; a whole number {accepted} is accepted", field=name)
    return int(text)


def seconds(environment: Environment, name: str, default: float, *, zero: bool = False) -> float:
    """Above 0, with ``zero`` also 0; ``default`` if empty or unset."""
    text = environment.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf or (zero and value == 0)):
        raise InputError(
            f"{name} is {text!r}; a number of seconds {'from' if zero else 'above'} 0 is accepted", field=name
        )
    return value


def date(environment: Environment, name: str) -> datetime | None:
    """A day, or a time, in UTC unless it names a zone; None if empty or unset."""
    text = environment.get(name)
    if not text:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{name} is {text!r}; a date is accepted, such as 2026-01-31", field=name) from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def flag(environment: Environment, name: str) -> bool | None:
    """None if empty or unset."""
    text = environment.get(name, "").strip().lower()
    if text and text not in YES + NO:
        raise InputError(f"{name} is {environment[name]!r}; accepted are 1 and 0", field=name)
    return text in YES if text else None


def choice(environment: Environment, name: str, accepted: Sequence[str]) -> str:
    """The first of ``accepted`` if empty or unset."""
    text = environment.get(name) or accepted[0]
    if text not in accepted:
        raise InputError(f"{name} is {text!r}; accepted are: {', '.join(accepted)}", field=name)
    return text


def words(environment: Environment, name: str) -> tuple[str, ...]:
    """Split at commas and white space."""
    return tuple(environment.get(name, "").replace(",", " ").split())
