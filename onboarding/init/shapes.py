"""Tables whose form tells the task: questions on passages, conversations, tagged words, prompts and completions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from onboarding.init.names import PROMPTS, REWRITINGS, find_pair
from onboarding.init.profile import Column, parse_if_nested
from onboarding.init.roles import Asked, Roles
from trainer.data.chat import CONVERSATION_COLUMNS
from trainer.data.conll import LINE, TAGS, TOKENS
from trainer.data.entity_spans import SPAN_COLUMNS
from trainer.data.table import Table
from trainer.data.token_rows import is_token_table, tells_sentences
from trainer.tasks.tagged_rows import LONE_TAG_COLUMNS, LONE_TOKEN_COLUMNS, TAG_COLUMNS, TOKEN_COLUMNS

Columns = Mapping[str, Column]
_WORDS = 4


def find_shape(table: Table, columns: Columns, asked: Asked) -> Roles | None:
    """None for a table of texts and labels, and where the user asks for another task."""
    if asked.label and not (asked.task and "generation" in asked.task):
        return _entities(table, columns, asked)
    for find in _SHAPES:
        found = find(table, columns, asked)
        if found and asked.task in (None, found.task):
            return found
    return None


def _questions(table: Table, columns: Columns, asked: Asked) -> Roles | None:
    answers = [name for name in ("answers", "answer", "answer_text") if name in columns]
    if not {"question", "context"} <= columns.keys() or not answers:
        return None
    why = f"rows are questions on passages, with {answers[0]} that stand in them"
    return Roles("question-answering", reasons={"task": why})


def _conversations(table: Table, columns: Columns, asked: Asked) -> Roles | None:
    names = [name for name, column in columns.items() if column.kind == "messages"]
    if not names:
        return None
    usual = names[0] in CONVERSATION_COLUMNS or "prompt" in names
    reasons = {"task": f"{names[0]!r} holds conversations; the assistant's answers are learned"}
    return Roles("text-generation", {} if usual else {"text": names[0]}, reasons=reasons, rendered=True)


def _entities(table: Table, columns: Columns, asked: Asked) -> Roles | None:
    if asked.task not in (None, "token-classification"):
        return None
    if {TOKENS, TAGS, LINE} <= columns.keys():
        return Roles("token-classification", reasons={"task": "the file has a token and its tag a line (CoNLL)"})
    return _spans(columns, asked) or _tag_lists(table, columns, asked) or _token_rows(table, asked)


def _spans(columns: Columns, asked: Asked) -> Roles | None:
    """Offsets into a text."""
    spans = _asked_first(
        [name for name, column in columns.items() if column.kind == "spans"], asked.label, SPAN_COLUMNS
    )
    texts = [name for name, column in columns.items() if column.kind in ("text", "category")]
    if not spans or not texts or (asked.label and spans[0] not in asked.label):
        return None
    text = asked.text or next(name for name in ("text", *texts) if name in texts)
    reasons = {"task": f"{spans[0]!r} holds entities as offsets into {text!r}"}
    return Roles("token-classification", {"text": text, "label": spans[0]}, reasons=reasons)


def _tag_lists(table: Table, columns: Columns, asked: Asked) -> Roles | None:
    lists = [name for name, column in columns.items() if column.kind == "list"]
    tokens = [name for name in (asked.text, *TOKEN_COLUMNS) if name in lists]
    tags = _asked_first([name for name in lists if name not in tokens], asked.label, TAG_COLUMNS)
    if not tokens or not tags or not _same_lengths(table, tokens[0], tags[0]):
        return None
    reasons = {"task": f"{tags[0]!r} has a tag for each of the {tokens[0]!r}"}
    found = Roles("token-classification", {"text": tokens[0], "label": tags[0]}, reasons=reasons)
    distinct = {str(tag) for row in columns[tags[0]].values[:2000] for tag in _listed(row)}
    if tags[0] in table.label_names or not all(tag.isdecimal() for tag in distinct):
        return found
    names = [f"tag_{number}" for number in range(max(map(int, distinct)) + 1)]
    note = f"data.label_names: the tags are numbers, and their names are unknown; put them in place of {names[0]} …"
    return replace(found, data={**found.data, "label_names": names}, notes=[note])


def _same_lengths(table: Table, tokens: str, tags: str) -> bool:
    pairs = list(zip(table.columns[tokens], table.columns[tags], strict=True))[:200]
    return sum(len(_listed(one)) == len(_listed(other)) for one, other in pairs) > len(pairs) / 2


def _listed(value: object) -> list[object]:
    found = parse_if_nested(value)
    return list(found) if isinstance(found, (list, tuple)) else []


def _token_rows(table: Table, asked: Asked) -> Roles | None:
    texts = [asked.text] if asked.text else _of_any_case(table, (*LONE_TOKEN_COLUMNS, *TOKEN_COLUMNS))
    labels = list(asked.label) or _of_any_case(table, (*LONE_TAG_COLUMNS, *TAG_COLUMNS))
    for text in texts:
        for label in labels:
            if is_token_table(table, text, label) and any(map(tells_sentences, table.columns)):
                why = f"each row is a token of {text!r} with its tag in {label!r}"
                return Roles("token-classification", {"text": text, "label": label}, reasons={"task": why})
    return None


def _of_any_case(table: Table, names: Sequence[str]) -> list[str]:
    return [column for name in names for column in table.columns if column.casefold() == name]


def _asked_first(names: list[str], asked: Sequence[str], usual: Sequence[str]) -> list[str]:
    def place(name: str) -> tuple[bool, int]:
        return name not in asked, usual.index(name) if name in usual else len(usual)

    return sorted(names, key=place)


def _prompts(table: Table, columns: Columns, asked: Asked) -> Roles | None:
    return _text_to_text(columns, asked, PROMPTS, "text-generation", ("prompt", "completion"))


def _rewritings(table: Table, columns: Columns, asked: Asked) -> Roles | None:
    return _text_to_text(columns, asked, REWRITINGS, "text2text-generation", ("text", "label"))


def _text_to_text(
    columns: Columns, asked: Asked, pairs: tuple[tuple[str, str], ...], task: str, usual: tuple[str, str]
) -> Roles | None:
    """``usual`` are the task's own names for its two columns, which need not be written."""
    found = find_pair([name for name, column in columns.items() if column.kind in ("text", "category")], pairs)
    if asked.task == task and asked.text and asked.label:
        found = asked.text, asked.label[0]
    if found is None or not (asked.task == task or found == usual or _are_long(columns, found)):
        return None
    data = {key: name for key, name, plain in zip(("text", "label"), found, usual, strict=True) if name != plain}
    verb = "completes" if task == "text-generation" else "is made of"
    others = [name for name, column in columns.items() if column.kind == "text" and name not in found]
    notes = [f"{', '.join(map(repr, others))}: texts too, and not read; join them with {found[0]!r}"] if others else []
    return Roles(task, data, reasons={"task": f"{found[1]!r} {verb} {found[0]!r}"}, notes=notes)


def _are_long(columns: Columns, names: Sequence[str]) -> bool:
    """What is generated is no label: a text, or several words."""
    return all(columns[name].kind == "text" or columns[name].words >= _WORDS for name in names)


_SHAPES: tuple[Callable[[Table, Columns, Asked], Roles | None], ...] = (
    _questions,
    _conversations,
    _entities,
    _prompts,
    _rewritings,
)
