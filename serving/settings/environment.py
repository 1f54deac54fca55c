"""Environment variables to values; what is malformed is an InputError that names the variable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from serving.errors import InputError

Environment = Mapping[str, str]

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def positive(environment: Environment, name: str, most: int | None = None) -> int | None:
    """A whole number of at least 1, and of ``most`` at most; None where the variable is empty or absent."""
    text = environment.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or int(text) < 1 or (most and int(text) > most):
        accepted = f"from 1 to {most:,}" if most else "of at least 1"
        raise InputError(f"{name} is {text!r}; a whole number {accepted} is accepted", field=name)
    return int(text)


def seconds(environment: Environment, name: str, absent: float, *, zero: bool = False) -> float:
    """A number of seconds above 0, or 0 with ``zero``; ``absent`` where the variable is empty or absent."""
    text = environment.get(name)
    if not text:
        return absent
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf or (zero and value == 0)):
        raise InputError(
            f"{name} is {text!r}; a number of seconds {'from' if zero else 'above'} 0 is accepted", field=name
        )
    return value


def flag(environment: Environment, name: str) -> bool | None:
    """Yes or no; None where the variable is empty or absent."""
    text = environment.get(name, "").strip().lower()
    if text and text not in YES + NO:
        raise InputError(f"{name} is {environment[name]!r}; accepted are 1 and 0", field=name)
    return text in YES if text else None


def choice(environment: Environment, name: str, accepted: Sequence[str]) -> str:
    """One of a few words, the first of them where the variable is empty or absent."""
    text = environment.get(name) or accepted[0]
    if text not in accepted:
        raise InputError(f"{name} is {text!r}; accepted are: {', '.join(accepted)}", field=name)
    return text


def words(environment: Environment, name: str) -> tuple[str, ...]:
    """What stands between commas or white space."""
    return tuple(environment.get(name, "").replace(",", " ").split())
