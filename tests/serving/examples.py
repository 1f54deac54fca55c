"""Inputs of every toy task, as callers write them: emoji, marks, CJK and right-to-left among them."""

from __future__ import annotations

from typing import Any

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
NOISE = "the parcel was shipped and the order is paid back 🎉 "
TEXTS = ["where is my parcel?", "refund order 17", f"{FAMILY} 我的卡 e\u0301 שלום"]

EXAMPLES: dict[str, list[Any]] = {
    "text-classification": TEXTS,
    "text pairs": [{"text": text, "text_pair": other} for text, other in zip(TEXTS, TEXTS[::-1], strict=True)],
    "multi-label-classification": ["where is my parcel?, refund order 17", *TEXTS],
    "regression": TEXTS,
    "token-classification": [
        "Ada flew to Oslo .",
        f"{FAMILY} 王芳 lives in 北京 . Zoe\u0308 flew to Graz .",
        "nobody",
        NOISE * 9 + "Grace will leave Kyoto .",
    ],
    "question-answering": [
        {"question": "where is Ada?", "context": "Ada flew to Oslo."},
        {"question": "where is Zoë?", "context": NOISE * 6 + "Zoë lives in 北京. " + NOISE},
        {"question": "where is Ömer?", "context": f"{FAMILY} Ömer grew up in São Paulo."},
    ],
    "answers or none": [
        {"question": "where is Ada?", "context": "Ada flew to Oslo."},
        {"question": "where is Ada?", "context": "Linus lives in order 17."},
    ],
    "feature-extraction": TEXTS,
}
"""A name of `tests.toys.TOYS` to inputs of its task; the last of token classification's is longer than a window."""

LONE_IN_LIST = {toy: toy not in ("token-classification", "question-answering", "answers or none") for toy in EXAMPLES}
"""Whether Hugging Face's clients expect the answer to a lone input in a list."""
