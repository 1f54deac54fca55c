"""Texts on which tokenizers and graphs often fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tokenizers import Tokenizer

from serving.errors import InputError
from serving.tasks.base import Task

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
