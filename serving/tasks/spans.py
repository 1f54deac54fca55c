"""Spans of text in Unicode code points, ends exclusive: windows merged, tokens grouped, white space trimmed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from unicodedata import category
from unicodedata import name as character_name

from tokenizers import Encoding

UNSPACED_SCRIPTS = (
    "CJK ", "HALFWIDTH KATAKANA", "HIRAGANA ", "IDEOGRAPHIC ", "KANGXI ", "KATAKANA", "KHMER ", "LAO ", "MYANMAR ",
    "THAI ", "TIBETAN ",
)  # fmt: skip
"""Beginnings of the Unicode names of scripts without spaces between words."""


class Token(NamedTuple):
    """Its span, its word, and its logits: window and row."""

    start: int
    end: int
    word: int | None
    window: int
    row: int


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Without white space; empty at ``start`` if nothing is left."""
    while start < end and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return start, end


def trim_with_marks(text: str, start: int, end: int) -> tuple[int, int]:
    """Trimmed, with the combining marks after it, which tokenizers may drop."""
    start, end = trim(text, start, end)
    return start, _skip_marks(text, end, len(text)) if start < end else end


def merge_windows(windows: Sequence[Encoding], stride: int) -> list[Token]:
    """Every token once, from the window in which it has the most context."""
    best: dict[int, tuple[int, Token]] = {}
    step = len(windows[0].ids) - sum(windows[0].special_tokens_mask) - stride
    for number, window in enumerate(windows):
        offsets, words = window.offsets, window.word_ids  # tokenizers copies the list at each access
        rows = [row for row, special in enumerate(window.special_tokens_mask) if not special]
        for position, row in enumerate(rows):
            context = min(position, len(rows) - 1 - position)
            token = Token(*offsets[row], words[row], number, row)
            at = number * step + position
            if at not in best or context > best[at][0]:
                best[at] = (context, token)
    return [best[at][1] for at in sorted(best)]


def visible_tokens(text: str, tokens: Sequence[Token]) -> list[Token]:
    """Those with a span, each with the marks that the tokenizer dropped after it."""
    visible = [token for token in tokens if token.start < token.end]
    limits = [*(token.start for token in visible[1:]), len(text)]
    return [
        token._replace(end=_skip_marks(text, token.end, limit)) if token.end < limit else token
        for token, limit in zip(visible, limits, strict=False)
    ]


def group_pieces(tokens: Sequence[Token]) -> list[list[Token]]:
    """Tokens alone, but those of one character together."""
    groups: list[list[Token]] = []
    for token in tokens:
        if groups and token.start < groups[-1][-1].end:
            groups[-1].append(token)
        else:
            groups.append([token])
    return groups


def group_words(text: str, tokens: Sequence[Token]) -> list[list[Token]]:
    """Tokens by word, in the same way for every tokenizer; a word may be white space.

    Punctuation marks are words, as in BERT's tokenizer, and so are tokens of scripts without spaces.
    """
    words: list[list[Token]] = []
    for token in tokens:
        if words and _continues_word(text, words[-1], token):
            words[-1].append(token)
        else:
            words.append([token])
    return words


def split_words(text: str) -> list[tuple[int, int]]:
    """The places of the words that `group_words` gives for a tokenizer that divides a text as far as it can."""
    words: list[tuple[int, int]] = []
    for at, character in enumerate(text):
        if character.isspace():
            continue
        touches = bool(words) and words[-1][1] == at
        if touches and (_extends_word(character) or not (_stands_alone(character) or _stands_alone(text[at - 1]))):
            words[-1] = (words[-1][0], at + 1)
        else:
            words.append((at, at + 1))
    return words


def _stands_alone(character: str) -> bool:
    """Also symbols, which some tokenizers divide from letters."""
    return _is_own_word(character) or category(character)[0] == "S"


def _continues_word(text: str, word: Sequence[Token], right: Token) -> bool:
    left = word[-1]
    if right.start < left.end:
        return True  # pieces of one character
    gap = text[left.end : right.start + 1]  # what the tokenizer dropped, and where the token begins
    if any(map(str.isspace, gap)):
        return False
    before, after = text[left.end - 1], text[right.start]
    if _extends_word(after):
        return True
    if _is_own_word(before) or _is_own_word(after):
        return False
    if left.word is not None and left.word == right.word:
        return True
    # Byte-level tokenizers end a word at a mark.
    return _extends_word(before) and not all(map(_extends_word, text[word[0].start : left.end]))


def _skip_marks(text: str, end: int, limit: int) -> int:
    while end < limit and _is_mark(text[end]):
        end += 1
    return end


def _extends_word(character: str) -> bool:
    """Marks and format characters (Unicode UAX #29, rule WB4)."""
    return _is_mark(character) or (category(character) == "Cf" and character != "\u200b")


def _is_mark(character: str) -> bool:
    return not character.isascii() and category(character)[0] == "M"


def _is_own_word(character: str) -> bool:
    """Punctuation, ASCII symbols and scripts without spaces."""
    if character.isascii():
        return not (character.isalnum() or character.isspace())
    return category(character)[0] == "P" or character_name(character, "").startswith(UNSPACED_SCRIPTS)
