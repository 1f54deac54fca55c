"""Places in a text: without the spaces that tokenizers count to a word, and pieces of words put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from unicodedata import category
from unicodedata import name as character_name

from tokenizers import Encoding

# Scripts that put no space between words: there, a tokenizer's "word" may be a whole sentence.
_UNSPACED = ("CJK ", "HIRAGANA ", "KATAKANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN ")


@dataclass(frozen=True)
class Token:
    """A token's place in the text, and where its numbers are: the window, and the row in it."""

    start: int
    end: int
    word: int | None
    window: int
    row: int


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The place without white space at either end, an empty one at ``start`` where nothing else is there."""
    while start < end and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return start, end


def whole(text: str, start: int, end: int) -> tuple[int, int]:
    """The place trimmed, and with the combining marks that belong to its last character: tokenizers may drop them."""
    start, end = trimmed(text, start, end)
    return start, _reach(text, end, len(text)) if start < end else end


def tokens_of(windows: Sequence[Encoding], stride: int) -> list[Token]:
    """The text's tokens in order, each once, from the window in which it has the most context around it."""
    best: dict[int, tuple[int, Token]] = {}
    step = _content(windows[0]) - stride
    for number, window in enumerate(windows):
        rows = [row for row, special in enumerate(window.special_tokens_mask) if not special]
        for place, row in enumerate(rows):
            context = min(place, len(rows) - 1 - place)
            token = Token(*window.offsets[row], window.word_ids[row], number, row)
            at = number * step + place
            if at not in best or context > best[at][0]:
                best[at] = (context, token)
    return [best[at][1] for at in sorted(best)]


def placed(text: str, tokens: Sequence[Token]) -> list[Token]:
    """The tokens that stand for some of the text, each with the marks behind it that its tokenizer dropped."""
    some = [token for token in tokens if token.start < token.end]
    limits = [*(token.start for token in some[1:]), len(text)]
    return [
        replace(token, end=_reach(text, token.end, limit)) if token.end < limit else token
        for token, limit in zip(some, limits, strict=False)
    ]


def pieces_of(tokens: Sequence[Token]) -> list[list[Token]]:
    """Each token by itself, but for those that are pieces of one character."""
    pieces: list[list[Token]] = []
    for token in tokens:
        if pieces and token.start < pieces[-1][-1].end:
            pieces[-1].append(token)
        else:
            pieces.append([token])
    return pieces


def words_of(text: str, tokens: Sequence[Token]) -> list[list[Token]]:
    """Tokens grouped to words, the same whatever a tokenizer calls one; a word may be of white space alone.

    Punctuation is by itself, as BERT's own tokenizer has it, though SentencePiece's word takes it in. So is every
    token in scripts without spaces, where a tokenizer's word may be a sentence.
    """
    words: list[list[Token]] = []
    for token in tokens:
        if words and _continues(text, words[-1], token):
            words[-1].append(token)
        else:
            words.append([token])
    return words


def _content(window: Encoding) -> int:
    return len(window.ids) - sum(window.special_tokens_mask)


def _continues(text: str, word: Sequence[Token], right: Token) -> bool:
    left = word[-1]
    if right.start < left.end:
        return True  # pieces of one character
    gap = text[left.end : right.start + 1]  # what the tokenizer dropped, and where the token begins
    if any(map(str.isspace, gap)):
        return False
    before, after = text[left.end - 1], text[right.start]
    if _extends(after):
        return True
    if _is_word(before) or _is_word(after):
        return False
    if left.word is not None and left.word == right.word:
        return True
    # Byte-level tokenizers end a word at a mark.
    return _extends(before) and not all(map(_extends, text[word[0].start : left.end]))


def _reach(text: str, end: int, limit: int) -> int:
    """``end`` moved past the marks of the character before it, ``limit`` at most."""
    while end < limit and _is_mark(text[end]):
        end += 1
    return end


def _extends(character: str) -> bool:
    """Whether a word goes on over it: marks and format characters (Unicode UAX #29, rule WB4)."""
    return _is_mark(character) or (category(character) == "Cf" and character != "\u200b")


def _is_mark(character: str) -> bool:
    return not character.isascii() and category(character)[0] == "M"


def _is_word(character: str) -> bool:
    """Whether it is a word by itself: punctuation, ASCII's symbols, a character of a script without spaces."""
    if character.isascii():
        return not (character.isalnum() or character.isspace())
    return category(character)[0] == "P" or character_name(character, "").startswith(_UNSPACED)
