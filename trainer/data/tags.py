"""Tags of words in the schemes that files have: IOB1, IOB2 (BIO), BIOES, BILOU, BMES, or types alone (IO)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from serving.errors import InputError
from serving.tasks.token_classification import OUTSIDE

ACCEPTED_TAGS = "O, and B-, I-, E-, S-, L-, U- or M- with a type, such as B-person"

_TAG = re.compile(r"O|[BIESLUM]-\S+")
_OTHER_PREFIX = re.compile(r"[A-Za-z]([^A-Za-z0-9]|$)|.*[-_][BIESLUM]$", re.DOTALL)
"""Of a tag that says more than a type, in a way that is not read."""

_HEADINGS = {"tag", "tags", "label", "labels", "ner", "ner_tag", "ner_tags", "entity", "type"}
_INSIDE = "IMEL"
_LAST = "ELSU"


@lru_cache(maxsize=1024)  # a file has a few tags, and each of them thousands of times
def is_tag(tag: str) -> bool:
    return _TAG.fullmatch(tag) is not None


def are_types(tags: Iterable[str]) -> bool:
    """Whether distinct ``tags`` are O and types alone, without a sign of where an entity begins."""
    types = set(tags)
    if OUTSIDE not in types:
        return False
    types.remove(OUTSIDE)
    return bool(types) and not any(map(_is_no_type, types))


def to_bio(tags: Sequence[str], *, types: bool = False) -> list[str]:
    """One sentence's tags as BIO (IOB2); raises InputError.

    As in conlleval, a tag that cannot continue the entity before it begins a new one. Of ``types`` alone, neighbours of
    one type are one entity.
    """
    if types:
        tags = [tag if tag == OUTSIDE else f"I-{tag}" for tag in tags]
    bio: list[str] = []
    before = OUTSIDE
    for at, tag in enumerate(tags):
        if not is_tag(tag):
            raise InputError(f"tags[{at}]: {tag_problem(tag)}", field=f"tags[{at}]")
        bio.append(OUTSIDE if tag == OUTSIDE else ("I-" if _continues(before, tag) else "B-") + tag[2:])
        before = tag
    return bio


def tag_problem(tag: str) -> str:
    return f"{tag!r} is no tag; accepted are {ACCEPTED_TAGS}"


def _continues(before: str, tag: str) -> bool:
    return tag[0] in _INSIDE and before[0] not in _LAST and before[2:] == tag[2:]


def _is_no_type(tag: str) -> bool:
    other = _OTHER_PREFIX.match(tag) or not tag.strip() or tag.isdecimal()
    return bool(is_tag(tag) or other or tag.casefold() in _HEADINGS)
