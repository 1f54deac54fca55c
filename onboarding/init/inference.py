"""Which task a table is for, and which columns are texts and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onboarding.init.answers import Answer, find_answers
from onboarding.init.names import PAIRS, TARGETS, TEXTS, find_pair, find_twins, is_id, rank
from onboarding.init.profile import Column
from onboarding.init.roles import Asked, Roles, nothing_fits, require_named
from onboarding.init.shapes import find_shape
from serving.errors import InputError
from trainer.data.table import Table
from trainer.recipe.recipe import GENERATING

Columns = Mapping[str, Column]

_REMEDIES = (
    "Name the column of labels or numbers by --label, that of texts by --text.",
    "For pairs of texts that belong together: --task feature-extraction --text A --text-pair B.",
    "To learn how texts go on: --task text-generation.",
)


def infer(table: Table, columns: Columns, asked: Asked, set_aside: Sequence[str] = ()) -> Roles:
    """``set_aside`` are columns that say how rows are split. Raises InputError where nothing fits."""
    require_named(table, asked)
    if not len(table):
        raise InputError(f"{table.name}: has no rows; columns there: {', '.join(table.columns)}")
    left = {name: column for name, column in columns.items() if name not in set_aside or name in asked.named()}
    found = find_shape(table, left, asked) or _texts_and_answers(table, left, asked)
    if asked.task and found.task != asked.task:
        raise nothing_fits(table, columns, f"no columns fit --task {asked.task}", _REMEDIES[:1])
    return found


@dataclass(frozen=True)
class _Texts:
    """``others`` are texts too."""

    text: str
    pair: str | None
    why: str
    others: Sequence[str] = ()


def _texts_and_answers(table: Table, columns: Columns, asked: Asked) -> Roles:
    texts = _find_texts(table, columns, asked)
    if asked.task in GENERATING:
        return _generated(table, columns, texts.text, asked)
    rest = {name: column for name, column in columns.items() if name not in (texts.text, texts.pair)}
    answers = find_answers(table, rest, asked, pair=texts.pair is not None)
    if not answers:
        return _without_answers(table, columns, texts, asked)
    return _roles(columns, texts, answers, asked)


def _find_texts(table: Table, columns: Columns, asked: Asked) -> _Texts:
    free = {name: column for name, column in columns.items() if name not in asked.label}
    texts = [name for name, column in free.items() if column.kind == "text"]
    if asked.text:
        return _Texts(asked.text, asked.text_pair, "--text names it", [name for name in texts if name != asked.text])
    texts = texts or [name for name, column in free.items() if column.kind == "category" and rank(name, TEXTS)]
    if not texts and asked.label:
        texts = [name for name, column in free.items() if column.kind == "category"]
    if not texts:
        raise nothing_fits(table, columns, "no column holds texts", _REMEDIES[:1])
    pair = find_pair(texts, PAIRS) or find_twins(texts)
    if pair and not asked.text_pair:
        others = [name for name in texts if name not in pair]
        return _Texts(*pair, f"{pair[0]!r} and {pair[1]!r} are a pair of texts by their names", others)
    best = max(texts, key=lambda name: (_score(columns[name]), -texts.index(name)))
    others = [name for name in texts if name not in (best, asked.text_pair)]
    return _Texts(best, asked.text_pair, _why_text(columns[best], others), others)


def _score(column: Column) -> float:
    """Of a name 1 to 2, of the length up to 1.5; what is an identifier by its name is the last."""
    named = rank(column.name, TEXTS)
    length = min(column.words, 30) / 20
    return (1 + named / len(TEXTS) if named else 0) + length - (2 if is_id(column.name) else 0)


def _why_text(column: Column, others: Sequence[str]) -> str:
    if not others:
        return "the only column of texts"
    return f"{column.words:.0f} words in the mean; {', '.join(map(repr, others))} hold texts too"


def _roles(columns: Columns, texts: _Texts, answers: list[Answer], asked: Asked) -> Roles:
    best = answers[0]
    data = {"text": texts.text} | ({"text_pair": texts.pair} if texts.pair else {}) | {"label": best.label}
    alternatives = {
        "text": [f"--text {name}" for name in texts.others]
        + [f"--text-pair {name}, read beside it" for name in texts.others[:1]],
        "label": [f"{_options(each, best)}: {each.why}" for each in answers[1:4]],
        "task": best.alternatives,
    }
    return Roles(
        best.task,
        {**data, **best.data},
        best.head,
        {"task": best.why, "data.text": texts.why, "data.label": best.chosen, **best.reasons},
        {key: values for key, values in alternatives.items() if values},
        list(best.notes),
    )


def _options(answer: Answer, best: Answer) -> str:
    """Those that choose it."""
    names = [answer.label] if isinstance(answer.label, str) else answer.label
    labels = " ".join(f"--label {name}" for name in names)
    return labels if answer.task == best.task else f"{labels} --task {answer.task}"


def _without_answers(table: Table, columns: Columns, texts: _Texts, asked: Asked) -> Roles:
    if texts.pair and asked.task in (None, "feature-extraction", "regression"):
        task = asked.task or "feature-extraction"
        loss = "multiple-negatives-ranking" if task == "feature-extraction" else "binary-cross-entropy"
        data = {"text": texts.text, "text_pair": texts.pair}
        negatives = [name for name in texts.others if rank(name, ("negative", "negatives"))]
        reasons = {
            "task": "pairs of texts without a score: the second answers the first",
            "data.text": texts.why,
            "model_head.loss": "learns pairs without scores: a row's second text, and not another's, answers its first",
            "data.negative": "texts that do not answer the first one",
        }
        other = f"--task text-generation --text {texts.text} --label {texts.pair}: the second text is generated"
        return Roles(
            task, data | ({"negative": negatives[0]} if negatives else {}), {"loss": loss}, reasons, {"task": [other]}
        )
    raise nothing_fits(table, columns, "no column looks like an answer to learn", _REMEDIES)


def _generated(table: Table, columns: Columns, text: str, asked: Asked) -> Roles:
    """Texts that the user says are generated; of text generation also how texts alone go on."""
    task = asked.task or ""
    kinds = [name for name, column in columns.items() if column.kind in ("text", "category") and name != text]
    targets = list(asked.label) or sorted(kinds, key=lambda name: -rank(name, TARGETS))
    if not targets and task == "text-generation":
        data = {} if text == "text" else {"text": text}
        return Roles(task, data, reasons={"task": "texts alone: how they go on is learned"})
    if not targets:
        raise nothing_fits(table, columns, "no second column of texts, to be generated", _REMEDIES[:1])
    others = {"label": [f"--label {name}" for name in targets[1:4]]} if targets[1:] else {}
    reasons = {"task": "--task names it", "data.label": f"the text that is generated from {text!r}"}
    return Roles(task, {"text": text, "label": targets[0]}, {}, reasons, others)


def describe_unused(columns: Columns, used: set[str]) -> list[str]:
    """Columns that nothing is learned from, and why."""
    kinds = {"id": "identifies the rows", "time": "holds times", "constant": "has one value", "empty": "is empty"}
    unused = [column for name, column in columns.items() if name not in used]
    return [f"{column.name} {kinds[column.kind]}" for column in unused if column.kind in kinds]
