"""A chat template as data, so that a server renders conversations without executing anything.

Most templates write fixed texts around the contents of messages, which depend on the roles before and behind. Those
are read from what the template makes of a few conversations, and then compared with it on others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import count, pairwise, product

import jinja2
from jinja2 import nodes

from serving.errors import InputError
from serving.tasks.chat import ChatFormat, Message, Piece, Role, with_article

Render = Callable[[Sequence[Message]], str]
"""By the template, with the beginning of an answer; raises InputError."""

Pieces = dict[tuple[Role | None, Role | None], str]

TURNS: dict[str, Role] = {"s": "system", "u": "user", "a": "assistant"}
ALTERNATING = ("u", "uau", "uauau")
WITH_SYSTEM = ("su", "suau", "suauau")
UNUSUAL = ("uu", "uaau", "auau", "uua", "ua", "suu", "sua", "sau")
"""Conversations that many templates refuse."""

_MARKS = re.compile(r"\{%-?\s*(end)?generation\s*-?%\}")
"""Of what is learned, an extension of transformers'."""

LONGEST = 5
PADDED = "\n \t{} \n"
CONTENTS = ("{} two\n words", PADDED, "{}" + " word" * 300)


def find_chat_format(render: Render, template: str) -> ChatFormat:
    """Raises InputError where the template is more than fixed texts."""
    pieces = _read_pieces(render, ALTERNATING)
    for names in (WITH_SYSTEM, *((name,) for name in UNUSUAL)):
        pieces = _extend(pieces, render, names)
    found = ChatFormat(pieces=[Piece(after=a, before=b, text=text) for (a, b), text in pieces.items()])
    roles = sorted({role for pair in pieces for role in pair if role})
    stripped = [role for role in roles if _strips(render, found, role)]
    found = found.model_copy(update={"stripped": stripped})
    found = found.model_copy(update={"special": list(_special_texts(render, found, template))})
    _require_alike(render, found)
    return found


def _read_pieces(render: Render, names: Sequence[str]) -> Pieces:
    """Raises InputError where a piece depends on more than its two roles."""
    pieces: Pieces = {}
    for name in names:
        messages = _conversation(name)
        rest, previous = render(messages), None
        for message in messages:
            text, found, rest = rest.partition(message.content)
            if not found or message.content in rest:
                raise InputError(f"it does not write the content of {with_article(message.role)} message once")
            _add(pieces, (previous, message.role), text)
            previous = message.role
        _add(pieces, (previous, None), rest)
    return pieces


def _add(pieces: Pieces, pair: tuple[Role | None, Role | None], text: str) -> None:
    if pieces.setdefault(pair, text) != text:
        raise InputError(f"what it writes behind {pair[0] or 'the beginning'} depends on other messages too")


def _extend(pieces: Pieces, render: Render, names: Sequence[str]) -> Pieces:
    """With further pairs of roles, where the template takes them and pieces stay what they are."""
    try:
        more = _read_pieces(render, names)
    except InputError:
        return pieces
    return pieces | more if all(pieces.get(pair, text) == text for pair, text in more.items()) else pieces


def _conversation(name: str, content: str = "{}") -> list[Message]:
    """Roles by their first letters; each content is a word of its own."""
    number = count()
    return [Message(TURNS[each], content.format(f"Wq{next(number)}x")) for each in name]


def _conversations(found: ChatFormat) -> Iterator[str]:
    """Every order of roles that the format takes."""
    pairs = {(piece.after, piece.before) for piece in found.pieces}
    for length in range(1, LONGEST + 1):
        for turns in product(TURNS, repeat=length):
            roles = [None, *(TURNS[each] for each in turns), None]
            if all(pair in pairs for pair in pairwise(roles)):
                yield "".join(turns)


def _strips(render: Render, found: ChatFormat, role: Role) -> bool:
    """Raises InputError where the template does something else with white space."""
    name = next(each for each in _conversations(found) if role in map(TURNS.get, each))
    messages = [Message(each.role, PADDED.format(each.content) if each.role == role else each.content)
                for each in _conversation(name)]  # fmt: skip
    text = render(messages)
    for stripped in ([], [role]):
        if found.model_copy(update={"stripped": stripped}).render(messages) == text:
            return bool(stripped)
    raise InputError(f"it changes the content of {with_article(role)} message")


def _special_texts(render: Render, found: ChatFormat, template: str) -> Iterator[str]:
    """Of the strings that the template's code has, those that change what it writes of a content."""
    code = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"])
    try:
        constants = {
            each.value
            for each in code.parse(_MARKS.sub("", template)).find_all(nodes.Const)
            if isinstance(each.value, str)
        }
    except jinja2.TemplateError as error:
        raise InputError(f"it cannot be read ({error})") from None
    for text in sorted(filter(str.strip, constants)):
        if not _alike(render, found, f"{{}} {text.replace('{', '{{').replace('}', '}}')} b"):
            yield text


def _require_alike(render: Render, found: ChatFormat) -> None:
    """Raises InputError. Contents that are stripped have nothing to strip: some templates do so at some places only."""
    for name, content in product(_conversations(found), CONTENTS):
        messages = [
            Message(each.role, each.content.strip() if each.role in found.stripped else each.content)
            for each in _conversation(name, content)
        ]
        if found.render(messages) != render(messages):
            raise InputError(f"what it writes depends on more than the roles before and behind ({name})")


def _alike(render: Render, found: ChatFormat, content: str) -> bool:
    for name in ("uau", "suau"):
        messages = _conversation(name, content)
        try:
            text = found.render(messages)
        except InputError:
            continue
        if text != render(messages):
            return False
    return True
