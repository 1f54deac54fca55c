"""Personal data in texts: where it is, and texts without it. A training and the server of its bundle share this code.

Only what has a checksum, a fixed form or both is found: names, addresses and numbers without a form are not.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from serving.tasks.personal_data import KINDS, PersonalData


class Found(NamedTuple):
    start: int
    end: int


def find(text: str, kind: PersonalData) -> list[Found]:
    """The places of one kind, in their order."""
    return list(_FINDERS[kind](text))


def redact(text: str, kinds: Sequence[PersonalData]) -> str:
    """With ``[EMAIL]`` and the like in their places; a redacted text stays as it is."""
    ordered = [kind for kind in KINDS if kind in kinds]
    while (redacted := _replace(text, ordered)) != text:
        text = redacted
    return text


def _replace(text: str, kinds: Sequence[PersonalData]) -> str:
    for kind in kinds:
        for start, end in reversed(find(text, kind)):
            text = f"{text[:start]}[{kind.upper()}]{text[end:]}"
    return text


_LETTER = r"(?:(?![\u0e00-\u0eff\u3000-\u9fff\uac00-\ud7af])\w)"
"""Not of scripts without spaces, where an address would begin inside a sentence."""
_EMAIL = re.compile(
    rf"(?<![a-zA-Z0-9_.%+\-])(?:{_LETTER}|[.%+\-']){{1,64}}@(?:(?:{_LETTER}|-){{1,63}}\.){{1,8}}(?:xn--[a-z0-9\-]{{2,59}}|(?:(?![\d_]){_LETTER}){{2,63}})(?![\d_])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2})[0-9]{2}(?:[ -]?[A-Za-z0-9])+")
_CARD = re.compile(r"(?<![\w-])[0-9](?:[ -]?[0-9]){12,24}(?!\w)")
_IP4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.\d)")
_IP6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{2,39}(?:(?<=:)(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?![\w:]|\.[0-9])"
)
_PHONES = (
    re.compile(
        r"(?<![\w+])(?<![0-9][ \-])(?:\+|00) ?[1-9][0-9]{0,14}+"
        r"(?:(?:[ .\-/]{1,2}\(?|\(|(?<=\)))[0-9]{1,12}+\)?){0,7}+(?!\w)"
    ),
    re.compile(
        r"(?<![\w.\-])(?<![0-9] )(?:1[ .\-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .\-])"
        r"[2-9][0-9]{2}[ .\-][0-9]{4}(?![\w\-])"
    ),
    re.compile(r"(?<![\w.,/\-])(?<![0-9] )\(?0[1-9][0-9]{0,4}\)?(?:[ \-/][0-9]{2,8}){1,5}(?![\w\-/])"),
)
"""International; of North America; with a 0 before the area code, where signs part the groups.

Groups are parted in one way only, and given back never: else a long number that ends in a letter would be read in as
many ways as it can be divided.
"""
_PHONE_DIGITS = (range(8, 16), range(10, 12), range(9, 13))

_CARDS = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}"
    r"|62[0-9]{14,17}|35(?:2[89]|[3-8][0-9])[0-9]{12}"
)
"""Visa, Mastercard, American Express, Diners Club, Discover, UnionPay, JCB."""

_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FK FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU YE", "31": "MT SC",
        "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


def _emails(text: str) -> Iterator[Found]:
    return (Found(*match.span()) for match in _EMAIL.finditer(text)) if "@" in text else iter(())


def _ibans(text: str) -> Iterator[Found]:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[1].upper(), 0)
        places = [at for at in range(*match.span()) if text[at] not in " -"][:length]
        if length and len(places) == length and not text[places[-1] + 1 : places[-1] + 2].isalnum():
            code = "".join(text[at] for at in places)
            if int("".join(str(int(sign, 36)) for sign in code[4:] + code[:4])) % 97 == 1:
                yield Found(places[0], places[-1] + 1)


def _cards(text: str) -> Iterator[Found]:
    """The longest number that the digits begin with, up to a sign or their end."""
    for match in _CARD.finditer(text):
        places = [at for at in range(*match.span()) if text[at] not in " -"]
        ends = [at + 1 for at in places if not text[at + 1 : at + 2].isdigit()]
        for end in reversed(ends):
            number = "".join(text[at] for at in places if at < end)
            if _CARDS.fullmatch(number) and _passes_luhn(number):
                yield Found(match.start(), end)
                break


def _passes_luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def _ips(text: str) -> Iterator[Found]:
    matches = [*(match for match in _IP6.finditer(text) if re.search("[0-9]", match[0])), *_IP4.finditer(text)]
    return _apart(Found(*match.span()) for match in matches if _is_ip(match[0]))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _phones(text: str) -> Iterator[Found]:
    return _apart(
        Found(*match.span())
        for pattern, digits in zip(_PHONES, _PHONE_DIGITS, strict=True)
        for match in pattern.finditer(text)
        if sum(sign.isdigit() for sign in match[0]) in digits
    )


def _apart(places: Iterable[Found]) -> Iterator[Found]:
    """In their order in the text; of two that overlap the first that is given."""
    found: list[Found] = []
    for place in places:
        at = bisect(found, place)
        if (at == 0 or found[at - 1].end <= place.start) and (at == len(found) or place.end <= found[at].start):
            found.insert(at, place)
    return iter(found)


_FINDERS: dict[PersonalData, Callable[[str], Iterator[Found]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "ip": _ips,
    "phone": _phones,
}
