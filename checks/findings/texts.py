"""Texts themselves: cut, decoded wrongly, with letters of two scripts in a word, in another language, personal."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

from ftfy.badness import is_bad

from checks.finding import Example, Finding, Row, not_checked
from checks.subject import Subject
from serving.observability.progress import begin_step, track
from serving.tasks.personal_data import KINDS
from serving.tasks.redaction import find
from trainer.data.languages import CONFIDENCE, FEWEST_LETTERS, tell_languages
from trainer.model.inputs import cut
from trainer.setup.training_setup import tokens_read

_AT_ONCE = 1000
_CONFUSED = {"LATIN", "CYRILLIC", "GREEK"}
_WORD = re.compile(r"[^\W\d_]{2,}")


def find_text_problems(subject: Subject) -> Iterator[Finding]:
    yield _truncation(subject)
    yield _encoding(subject.rows)
    yield _language(subject)
    yield _personal_data(subject.rows)


def _truncation(subject: Subject) -> Finding:
    name, title = "truncation", "texts that are cut"
    task = subject.setup.task
    if task.max_windows is None:
        return not_checked(name, title, "nothing is cut: texts are read in windows")
    if not subject.has_vectors:
        return not_checked(name, title, "train warns of prompts and targets that are too long")
    most, lost, tokens = tokens_read(subject.setup), list[tuple[int, Row]](), 0
    for part in cut(subject.rows, _AT_ONCE):
        for row, length in zip(part, _lengths(subject, part), strict=True):
            tokens += length
            if length > most:
                lost.append((length - most, row))
    lost.sort(key=lambda each: -each[0])
    share = sum(count for count, _ in lost) / max(tokens, 1)
    limit = f"data.max_windows windows, {most} tokens" if task.uses_windows else f"data.max_length, {most}"
    how = f"longer than {limit}; {share:.2%} of the tokens"
    examples = [Example(f"{count:,} tokens are cut", (row,)) for count, row in lost]
    return Finding(name, title, len(lost), len(subject.rows), how, examples)


def _lengths(subject: Subject, rows: Any) -> list[int]:
    """In tokens, special ones included; of a pair of texts for vectors, of the longer."""
    task, tokenizer = subject.setup.task, subject.setup.tokenizer
    items = [[task.segments(item) for item in subject.setup.training_task.items(task, row.inputs)] for row in rows]
    flat = [segments for of_row in items for segments in of_row]
    texts = [each if isinstance(each, str) else each[0] for each in flat]
    pairs = None if isinstance(flat[0], str) else [each[1] for each in flat]
    lengths = iter(len(ids) for ids in tokenizer(texts, pairs, verbose=False)["input_ids"])
    return [max(next(lengths) for _ in of_row) for of_row in items]


def _encoding(rows: list[Row]) -> Finding:
    examples = [Example(problem, (row,)) for row in rows if (problem := encoding_problem(row.text))]
    how = "mojibake (ftfy), U+FFFD, control characters, a word in two scripts"
    return Finding("encoding", "texts that were decoded wrongly", len(examples), len(rows), how, examples)


def encoding_problem(text: str) -> str:
    """Empty if there is none."""
    if "\ufffd" in text:
        return "replacement character U+FFFD"
    if control := next((sign for sign in text if unicodedata.category(sign) == "Cc" and sign not in "\t\n\r"), ""):
        return f"control character U+{ord(control):04X}"
    if text.isascii():
        return ""
    if is_bad(text):
        return "mojibake: UTF-8 read as another encoding"
    for word in _WORD.findall(text):
        scripts = {_script(sign) for sign in word} & _CONFUSED
        if not word.isascii() and len(scripts) > 1:
            return f"{word!r} mixes {' and '.join(sorted(map(str.title, scripts)))} letters"
    return ""


@cache
def _script(sign: str) -> str:
    return unicodedata.name(sign, "").partition(" ")[0]


def _language(subject: Subject) -> Finding:
    """Of texts that are long enough to tell."""
    begin_step("telling languages…")
    rows = [row for row in subject.rows if len(row.text) >= FEWEST_LETTERS]
    texts = (row.text for row in track("texts", rows, len(rows)))
    told = [(row, *each) for row, each in zip(rows, tell_languages(texts), strict=True)]
    sure = [(row, language, score) for row, language, score in told if score >= CONFIDENCE]
    counts = Counter(language for _, language, _ in sure)
    usual = counts.most_common(1)[0][0] if counts else ""
    others = sorted((each for each in sure if each[1] != usual), key=lambda each: -each[2])
    examples = [Example(f"{language} ({score:.2f})", (row,)) for row, language, score in others]
    how = f"most are {usual}" if usual else "no text is long enough"
    title = "texts in another language than most"
    return Finding("language", title, len(others), len(sure), f"{how}; {CONFIDENCE} sure (py3langid)", examples)


def _personal_data(rows: list[Row]) -> Finding:
    examples = []
    totals: Counter[str] = Counter()
    for row in rows:
        kinds = [kind for kind in KINDS if find(row.text, kind)]
        totals.update(kinds)
        examples += [Example(", ".join(kinds), (row,))] if kinds else []
    told = ", ".join(f"{kind} {count:,}" for kind, count in totals.most_common())
    how = f"{told}; see data.redact" if told else f"looked for {', '.join(KINDS)}"
    return Finding("personal-data", "texts with personal data", len(examples), len(rows), how, examples)
