"""An explanation in a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serving.errors import InputError
from serving.tasks.base import Task
from serving.tasks.inputs import PAIR
from serving.tasks.question_answering import KEYS, QuestionAnswering

MOST_BARS, BAR = 8, 24


def build_input(task: Task, text: str, other: str | None) -> Any:
    """From a command line's texts; raises InputError for a second text that the task does not take."""
    schema = task.input_schema()
    if schema["type"] != "object":
        if other is not None:
            raise InputError(f"this bundle's {task.name} takes one text; there were two")
        return text
    keys = KEYS if isinstance(task, QuestionAnswering) else PAIR
    return {key: value for key, value in zip(keys, (text, other), strict=True) if value is not None}


def render(inputs: Any, explanation: dict[str, Any]) -> RenderableType:
    texts = inputs if isinstance(inputs, dict) else {"inputs": inputs}
    tokens = explanation["tokens"]
    strongest = max((abs(token["score"]) for token in tokens), default=0.0) or 1.0
    target = explanation["target"]
    head = Text.assemble((target["label"] or "no answer", "bold"), f"  {explanation['output']} {target['score']:.3f}")
    head.append(f"  ({explanation['base_value']:.3f} with all words masked)", "dim")
    coloured = (_colour(text, [t for t in tokens if t["field"] == field], strongest) for field, text in texts.items())
    return Group(head, "", *coloured, "", _bars(tokens, strongest))


def _colour(text: str, tokens: list[dict[str, Any]], strongest: float) -> Text:
    coloured = Text(text)
    for token in tokens:
        coloured.stylize(_style(token["score"] / strongest), token["start"], token["end"])
    return coloured


def _style(share: float) -> str:
    """Green for, red against, none for little."""
    colour, strength = "green" if share > 0 else "red", abs(share)
    if strength < 0.1:
        return ""
    return f"bold reverse {colour}" if strength > 0.6 else f"bold {colour}" if strength > 0.3 else colour


def _bars(tokens: list[dict[str, Any]], strongest: float) -> Table:
    table = Table.grid(padding=(0, 2))
    for token in sorted(tokens, key=lambda each: -abs(each["score"]))[:MOST_BARS]:
        word, score = token["word"], token["score"]
        bar = "━" * max(1, round(BAR * abs(score) / strongest))
        table.add_row(Text(word), f"{score:+.3f}", Text(bar, "green" if score > 0 else "red"))
    return table
