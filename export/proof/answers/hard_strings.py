"""Texts on which tokenizers and graphs often fail: a few fixed ones, and thousands of seeded ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

from tokenizers import Tokenizer

from serving.errors import InputError
from serving.tasks.base import Task

STRINGS = 10_000
SEED = 0

HARD_TEXTS = (
    "",
    " ",
    "a",
    "?!…",
    "\tTabs,\nnew lines\r\nand   runs of spaces ",
    "non-breaking\u00a0space, zero\u200bwidth, soft\u00adhyphen, byte order mark\ufeff",
    "control characters \x00 \x01 \x7f and the replacement character \ufffd",
    "Ünïcödé, précomposed é and decomposed e\u0301, ligature ﬁ, full width Ａ１",
    "İstanbul'da ışık, Straße, ŒUVRE",
    "👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 emoji of many code points",
    "我的卡还没有到，怎么办？カードが届きません。카드가 도착하지 않았어요",
    "أين بطاقتي؟ הכרטיס שלי לא הגיע \u202eright to left override",
    "नमस्ते, मेरा कार्ड कहाँ है? สวัสดีครับ บัตรของฉันอยู่ที่ไหน",
    "special tokens in a text: [CLS] [SEP] [PAD] [MASK] [UNK] <s> </s> <pad> <unk>",
    '<script>alert(\'x\')</script> {"inputs": "json"} \\u0041 %41 &amp;',
    "https://example.com/a/very/long/path?with=parameters&and=more#fragment e-mail@example.com",
    "1,234,567.89 € £12.50 3½ 10⁻³ ∑∫√ 2026-11-23T18:00:00Z",
    "supercalifragilisticexpialidocious" * 8,
    "word " * 3000,
    "ß" * 700,
)
"""The empty text is compared by its token ids only; a server refuses it."""

MakeText = Callable[[Random], str]

_WORDS = ("card", "paiement", "Straße", "карта", "банк", "ticket", "überweisung", "naïve", "don't", "e-mail", "x", "I")
_SCRIPTS = {
    "latin": (0x00C0, 0x024F), "greek": (0x0370, 0x03FF), "cyrillic": (0x0400, 0x04FF), "armenian": (0x0530, 0x058F),
    "hebrew": (0x05D0, 0x05EA), "arabic": (0x0620, 0x064A), "devanagari": (0x0904, 0x0939), "thai": (0x0E01, 0x0E2E),
    "georgian": (0x10A0, 0x10FF), "hiragana": (0x3041, 0x3096), "katakana": (0x30A1, 0x30FA), "han": (0x4E00, 0x9FFF),
    "hangul": (0xAC00, 0xD7A3),
}  # fmt: skip
_EMOJI = ("👩", "👨", "👧", "🏳", "🚀", "❤", "🧑", "💻", "👍", "🇩", "🇪", "1", "#")
_JOINERS = ("\u200d", "\ufe0f", "\u20e3", "\U0001f3fd", "\U000e0067", "\U000e007f")
_BIDI = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\u034f\u2800\u3164"
_SPACES = " \t\n\r\x0b\x0c\x85\u00a0\u1680\u2002\u2009\u2028\u2029\u202f\u205f\u3000"
_CONTROLS = [*map(chr, range(0x20)), "\x7f", *map(chr, range(0x80, 0xA0)), "\ufffd"]
_EDGES = "\ud7ff\ue000\uf8ff\ufdd0\ufeff\ufffe\uffff\U00010000\U0001ffff\U000e0001\U000f0000\U0010ffff"
_SPECIAL = ("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]", "<s>", "</s>", "<pad>", "<unk>", "<mask>", "<|endoftext|>",
            *_WORDS, "[", "]", "cls", "[cls]", "[ SEP ]", "##a", "▁", "Ġ")  # fmt: skip
_CASING = "İıŞßẞſŒœǅǆﬁﬀΣςσΐϒÅÅKΩ𝐀𝒜ＡａⅣ№™½²"


def _letters(random: Random, script: str, most: int = 8) -> str:
    low, high = _SCRIPTS[script]
    return "".join(chr(random.randint(low, high)) for _ in range(random.randint(1, most)))


def _mix(random: Random, pool: Sequence[str], most: int = 12) -> str:
    parts = [random.choice(pool) for _ in range(random.randint(1, most))]
    return random.choice(["", " "]).join(parts)


def _marks(random: Random) -> str:
    bases = "aeiouncAEIOUNC가あअا"
    marks = [chr(random.choice([random.randint(0x300, 0x36F), random.randint(0x64B, 0x65F), 0x3099, 0x93C, 0x94D]))
             for _ in range(random.randint(1, 6))]  # fmt: skip
    return _WORDS[random.randrange(len(_WORDS))] + random.choice(bases) + "".join(marks) + random.choice(bases)


def _emoji(random: Random) -> str:
    parts = [random.choice(_EMOJI) + random.choice(["", *_JOINERS]) for _ in range(random.randint(1, 8))]
    return random.choice(["", " "]).join(parts)


def _scripts(random: Random) -> str:
    names = random.choices(list(_SCRIPTS), k=random.randint(2, 6))
    return random.choice(["", " ", "-", "/"]).join(_letters(random, name) for name in names)


def _east_asian(random: Random) -> str:
    names = random.choices(("han", "hiragana", "katakana", "hangul"), k=random.randint(1, 5))
    return random.choice(["", "，", "。", " "]).join(_letters(random, name) for name in names) + random.choice(_WORDS)


def _right_to_left(random: Random) -> str:
    parts = [random.choice([_letters(random, "hebrew"), _letters(random, "arabic"), *_BIDI, *_WORDS])
             for _ in range(random.randint(2, 8))]  # fmt: skip
    return random.choice(["", " "]).join(parts)


def _long_run(random: Random) -> str:
    unit = random.choice([*_WORDS, "ß", "!", "_", "0", "的", "\u0301", "👍", " ", "ab ", "#a"])
    return unit * random.choice([17, 63, 101, 129, 600])


def _number(random: Random) -> str:
    plain = str(random.randrange(10 ** random.randint(1, 15)))
    shapes = (f"{plain}.{plain[:2]}", f"1,{plain}", f"-{plain}%", f"€{plain}", f"{plain}½", f"10⁻{plain[:1]}",
              f"٣{plain}٤", f"2026-{plain[:2]}-01T00:00:00Z", f"0x{int(plain):x}", f"+49 {plain} ")  # fmt: skip
    return random.choice(shapes)


def _address(random: Random) -> str:
    word = random.choice(_WORDS)
    shapes = (f"https://{word}.example/{word}?q={word}&n={random.randrange(999)}#top", f"{word}@example.org",
              f"C:\\{word}\\{word}.txt", f"<a href='{word}'>{word}</a>", f"%{random.randrange(256):02x}&amp;{word}",
              f"xn--{word}-{random.randrange(99)}", f"@{word} #{word}", f"{{\"{word}\": [1]}}")  # fmt: skip
    return random.choice(shapes)


def _any_code_points(random: Random) -> str:
    points = (random.randrange(0x110000) for _ in range(random.randint(1, 24)))
    return "".join(chr(point) for point in points if not 0xD800 <= point <= 0xDFFF) or "\ue000"


CATEGORIES: dict[str, MakeText] = {
    "combining marks": _marks,
    "emoji sequences": _emoji,
    "Chinese, Japanese, Korean": _east_asian,
    "right to left, bidirectional controls": _right_to_left,
    "zero width": lambda random: _mix(random, (*_ZERO_WIDTH, *_WORDS)),
    "spaces": lambda random: _mix(random, (*_SPACES, *_WORDS)),
    "control characters": lambda random: _mix(random, (*_CONTROLS, *_WORDS)),
    "edges of the code space": lambda random: _mix(random, (*_EDGES, *_WORDS), 6),
    "long runs": _long_run,
    "look-alikes of special tokens": lambda random: _mix(random, _SPECIAL, 8),
    "mixed scripts": _scripts,
    "numbers": _number,
    "addresses and markup": _address,
    "casing": lambda random: _mix(random, (*_CASING, *_WORDS)),
    "any code points": _any_code_points,
}


@cache
def hard_strings(count: int, seed: int) -> tuple[str, ...]:
    """The categories take turns. No lone surrogates, which JSON cannot carry."""
    random, makers = Random(seed), list(CATEGORIES.values())
    return tuple(makers[at % len(makers)](random) for at in range(count))


def hard_inputs(task: Task, texts: Sequence[str] = HARD_TEXTS) -> list[Any]:
    """An input of several texts takes consecutive ones."""
    keys = list(task.input_schema().get("properties", {}))
    if not keys:
        return list(texts)
    return [{key: texts[(place + shift) % len(texts)] for shift, key in enumerate(keys)} for place in range(len(texts))]


def as_items(task: Task, tokenizer: Tokenizer, texts: Sequence[str] = HARD_TEXTS) -> list[Any]:
    """Only those that the task can tokenise."""
    items = [each if isinstance(each, str) else tuple(each.values()) for each in hard_inputs(task, texts)]
    return [item for item in items if passes(task.check_tokens, tokenizer, item)]


def passes(check: Callable[..., object], *arguments: Any) -> bool:
    """Whether a check raises no InputError."""
    try:
        check(*arguments)
    except InputError:
        return False
    return True
