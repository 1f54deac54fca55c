"""Personal data is found by its form and checksum, in the time that a text is long, and replaced once."""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle.manifest import Limits
from serving.protocols import rerank
from serving.tasks import redaction
from serving.tasks.feature_extraction import FeatureExtraction, FeatureExtractionSettings
from serving.tasks.personal_data import KINDS, VERSION, PersonalData, to_settings
from serving.tasks.redaction import find, redact
from serving.tasks.text_classification import TextClassification, TextClassificationSettings

REDACTED = {
    "write to ada.lovelace+x@mail.example.co.uk, thanks": "write to [EMAIL], thanks",
    "联系我john@example.com吧": "联系我[EMAIL]吧",
    "jörg@müller.de.": "[EMAIL].",
    "to DE89 3704 0044 0532 0130 00 please": "to [IBAN] please",
    "gb82west12345698765432!": "[IBAN]!",
    "card 4111 1111 1111 1111 123 ok": "card [CARD] 123 ok",
    "amex 378282246310005.": "amex [CARD].",
    "from 10.0.0.1, fe80::1 and ::ffff:10.0.0.1": "from [IP], [IP] and [IP]",
    "+49 (0)171 1234567 or 0049 171 1234567": "[PHONE] or [PHONE]",
    "call (212) 555-0199 or 212-555-0199": "call [PHONE] or [PHONE]",
    "020 7946 0958, 06 12 34 56 78": "[PHONE], [PHONE]",
}
KEPT = (
    "a@b and me@home and a@b.c1",
    "DE88 3704 0044 0532 0130 00",  # the checksum is another
    "4111-1111-1111-1112",  # Luhn's is another
    "order 12345678901, 300.1.1.1 and 1.2.3.4.5",
    "on 2024-01-02 at 12:30:45, 01-02-2024",
    "std::vector of a::b",
    "3 + 4 = 7, +5 points, 0.50 00 12",
)
PARTS = [
    "a@b.de",
    "+49 171 1234567",
    "4111111111111111",
    "::1",
    "1.2.3.4",
    "DE89370400440532013000",
    "-",
    " ",
    "7",
    "x",
]


@pytest.mark.parametrize("number", range(len(REDACTED)))
def test_personal_data_is_replaced(number: int) -> None:
    """Each kind gives way to its name; what stands around it stays."""
    text, expected = list(REDACTED.items())[number]
    assert redact(text, KINDS) == expected


@pytest.mark.parametrize("number", range(len(KEPT)))
def test_what_only_looks_alike_stays(number: int) -> None:
    """A number with another checksum, a date, a version or C++ is no personal data."""
    assert redact(KEPT[number], KINDS) == KEPT[number]


def test_kinds_are_replaced_alone() -> None:
    """What is not asked for stays."""
    assert redact("a@b.de from 10.0.0.1", ["ip"]) == "a@b.de from [IP]"


def test_every_item_is_redacted_whichever_protocol_makes_it() -> None:
    """Of pairs both texts; reranking pairs a query with each text by itself."""
    settings = TextClassificationSettings(pair=True, **to_settings(["email"]))
    task = TextClassification(["no", "yes"], settings, Limits())
    assert task.check({"text": "mail a@b.de", "text_pair": "x"}) == ("mail [EMAIL]", "x")
    body = {"query": "mail a@b.de", "texts": ["from c@d.de", "x"]}
    assert rerank.parse(json.dumps(body).encode(), task, task.check).items == [
        ("mail [EMAIL]", "from [EMAIL]"),
        ("mail [EMAIL]", "x"),
    ]
    vectors = FeatureExtraction([], FeatureExtractionSettings(dimensions=2, **to_settings(["email"])), Limits())
    assert vectors.check("a@b.de") == "[EMAIL]"


@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_a_redacted_text_stays_as_it_is(text: str) -> None:
    """Rows that are redacted before training are the same once the predictor redacts them again."""
    once = redact(text, KINDS)
    assert redact(once, KINDS) == once
    assert not any(find(once, kind) for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_text_takes_no_longer_than_others(kind: PersonalData) -> None:
    """100,000 characters that begin like personal data and never end are read within seconds, not minutes."""
    for part in ("a", "a@", "a.", "1 ", "0-", "+1 ", "::", "DE89", "4111 ", "é.-"):
        start = time.thread_time()
        find(part * (100_000 // len(part)), kind)
        find(f"+1{'2' * 60}x {part * 100}x", kind)
        assert time.thread_time() - start < 20, part


@pytest.mark.parametrize("kind", KINDS)
def test_no_mixture_of_signs_is_read_in_many_ways(kind: PersonalData) -> None:
    """Signs that patterns may take or leave, repeated and ended by one that they refuse: each text within seconds."""
    rng = random.Random(0)
    signs = ["+", "00", "1", "12", "(", ")", " ", "-", ".", "/", "a", "@", "é", ":", "DE89", "4", "255.", "'"]
    for _ in range(200):
        unit = "".join(rng.choices(signs, k=rng.randint(1, 6)))
        text = rng.choice(["", "+", "0", "a@"]) + unit * rng.choice([20, 400]) + rng.choice(["a", "_", "!", "é", ":"])
        start = time.thread_time()
        find(text, kind)
        assert time.thread_time() - start < 10, text[:80]


def test_other_patterns_are_another_version() -> None:
    """Who changes what is found also changes VERSION, and this digest: bundles of before are then refused."""
    source = Path(redaction.__file__).read_text(encoding="utf-8")
    patterns = "".join(re.findall(r'r"[^"\n]*"|rf"[^"\n]*"|"[0-9]{2}": "[A-Z ]+"|range\([^)]*\)', source))
    assert (VERSION, hashlib.sha256(patterns.encode()).hexdigest()[:16]) == (1, "79250c361d605052")
    with pytest.raises(ValueError, match="replaced by version 2 in the training, and this program has version 1"):
        TextClassificationSettings(redact=("email",), redaction=2)
