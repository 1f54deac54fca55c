"""An explanation in a terminal: the texts with their words coloured, and the words that count most as bars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serving.errors import InputError
from serving.tasks.base import Task
from serving.tasks.inputs import PAIR
from serving.tasks.question_answering import KEYS, QuestionAnswering

MOST_BARS, BAR = 8, 24


def inputs_of(task: Task, text: str, other: str | None) -> Any:
    """One input of a task, from the texts of a command line; raises InputError for a second text too many."""
    schema = task.input_schema()
    if schema["type"] != "object":
        if other is not None:
            raise InputError(f"this bundle's {task.name} takes one text; there were two")
        return text
    keys = KEYS if isinstance(task, QuestionAnswering) else PAIR
    return {key: value for key, value in zip(keys, (text, other), strict=True) if value is not None}


def coloured(inputs: Any, explanation: dict[str, Any]) -> RenderableType:
    """What was explained, the texts in colour, and the strongest words."""
    texts = inputs if isinstance(inputs, dict) else {"inputs": inputs}
    tokens = explanation["tokens"]
    strongest = max((abs(token["score"]) for token in tokens), default=0.0) or 1.0
    target = explanation["target"]
    head = Text.assemble((target["label"] or "no answer", "bold"), f"  {explanation['output']} {target['score']:.3f}")
    head.append(f"  ({explanation['base_value']:.3f} with all words hidden)", "dim")
    marked = (_marked(text, [t for t in tokens if t["field"] == field], strongest) for field, text in texts.items())
    return Group(head, "", *marked, "", _bars(tokens, strongest))


def _marked(text: str, tokens: list[dict[str, Any]], strongest: float) -> Text:
    marked = Text(text)
    for token in tokens:
        marked.stylize(_style(token["score"] / strongest), token["start"], token["end"])
    return marked


def _style(share: float) -> str:
    """Green for, red against; what counts little stays as it is."""
    colour, strength = "green" if share > 0 else "red", abs(share)
    if strength < 0.1:
        return ""
    return f"bold reverse {colour}" if strength > 0.6 else f"bold {colour}" if strength > 0.3 else colour


def _bars(tokens: list[dict[str, Any]], strongest: float) -> Table:
    table = Table.grid(padding=(0, 2))
    for word, score in _first(tokens):
        bar = "━" * max(1, round(BAR * abs(score) / strongest))
        table.add_row(Text(word), f"{score:+.3f}", Text(bar, "green" if score > 0 else "red"))
    return table


def _first(tokens: list[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    for token in sorted(tokens, key=lambda each: -abs(each["score"]))[:MOST_BARS]:
        yield token["word"], token["score"]
