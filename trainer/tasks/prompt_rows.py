"""Rows of a causal model: a prompt and its completion, a conversation, or a text alone.

A conversation is rendered by the tokenizer's chat template. Its last answer is the completion, and all before it the
prompt; earlier answers are learned too. Of a text alone everything is learned; its second half is what is measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jinja2
from transformers import PreTrainedTokenizerFast

from serving.errors import InputError
from serving.tasks import chat
from trainer.data import columns
from trainer.data.chat import (
    ASSISTANT,
    CONVERSATION_COLUMNS,
    Message,
    are_conversations,
    read_messages,
    until_answer,
)
from trainer.data.literals import parse_nested
from trainer.data.problems import UNUSABLE
from trainer.data.table import Table
from trainer.tasks.chat_format import find_chat_format

Target = str | dict[str, Any]
"""The completion; or ``text``, what is compared with an answer, ``rendered``, what is learned, and ``learned``, the
places of the prompt that are learned too, in characters."""

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CHATML_TOKENS = {"<|im_start|>", "<|im_end|>"}


def text_of_target(target: Target) -> str:
    return target if isinstance(target, str) else str(target["text"])


def find_conversations(table: Table, text: str | None, label: str | None, labelled: bool | None = True) -> list[str]:
    """The columns whose messages, one after the other, are conversations; none where a row is something else."""
    if text is not None or label is not None:
        names = [name for name in (text, label) if name]
    elif "prompt" in table.columns:
        names = ["prompt", "completion"]
    else:
        names = [name for name in CONVERSATION_COLUMNS if name in table.columns][:1]
    if not labelled:  # a prompt may be alone
        names = [name for name in names if name in table.columns]
    return names if names and all(are_conversations(table.columns.get(name, [])) for name in names) else []


class Renderer:
    """Conversations as prompts and completions, by a tokenizer's chat template."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, model: str) -> None:
        """Raises InputError where there is no template."""
        self._tokenizer = tokenizer
        self._template, self.note = _find_template(tokenizer, model)
        added = tokenizer("")["input_ids"][:1]
        self._start = tokenizer.decode(added) if added else ""

    def render(self, messages: Sequence[Message], tools: Any = None) -> tuple[str, Target]:
        """Prompt and target; raises InputError."""
        prompt = self._text(messages[:-1], tools, prompt=True)
        whole = self._text(messages, tools)
        if not prompt.strip() or not whole.startswith(prompt) or whole == prompt:
            raise InputError(
                "messages: the chat template does not put the last answer behind its prompt; it cannot be learned"
            )
        learned = []
        for at, message in enumerate(messages[:-1]):
            if message["role"] == ASSISTANT and at:
                before, after = self._text(messages[:at], tools, prompt=True), self._text(messages[: at + 1], tools)
                if after.startswith(before) and prompt.startswith(after):  # a template may shorten earlier answers
                    learned.append([len(before), len(after)])
        content = messages[-1]["content"].strip() or whole[len(prompt) :]
        return prompt, {"text": content, "rendered": whole[len(prompt) :], "learned": learned}

    def chat_format(self) -> chat.ChatFormat:
        """The template as data; raises InputError where it is more than that."""

        def render(messages: Sequence[chat.Message]) -> str:
            return self._text([dataclasses.asdict(each) for each in messages], prompt=True)

        return find_chat_format(render, self.template)

    @property
    def template(self) -> str:
        return self._template or self._tokenizer.get_chat_template()

    def prompt(self, messages: Sequence[Message], tools: Any = None) -> str:
        """Of a conversation that has no answer yet; raises InputError."""
        return self._text(messages, tools, prompt=True)

    def _text(self, messages: Sequence[Message], tools: Any = None, prompt: bool = False) -> str:
        tools = parse_nested(tools) if isinstance(tools, str) else tools
        try:
            text: str = self._tokenizer.apply_chat_template(
                list(messages), tools=tools, chat_template=self._template, tokenize=False, add_generation_prompt=prompt
            )
        except (jinja2.TemplateError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"messages: the chat template refuses them: {error}") from None
        return text.removeprefix(self._start)  # the tokenizer puts it before every prompt


def conversation_table(
    table: Table, names: Sequence[str], renderer: Renderer, text: str, label: str, labelled: bool | None = True
) -> Table:
    """Conversations as prompts and targets, or prompts alone where they need no answer and none has one."""
    parts = [columns.map_rows(table, lambda value, name=name: read_messages(value, name), table.columns[name])
             for name in names]  # fmt: skip
    table.notes.append(f"messages are rendered by {renderer.note}; a served prompt is text rendered by it")
    tools = table.columns.get("tools", [None] * len(table))
    if labelled is False or (labelled is None and not any(_has_answer(row) for part in parts for row in part)):
        prompts = columns.map_rows(
            table, lambda *row: renderer.prompt(_before_answer(_joined(row[1:])), row[0]), tools, *parts
        )
        return Table(table.name, {text: prompts}, problems=table.problems, notes=table.notes)
    unanswered: list[int] = []

    def render(tools: Any, *listed: Sequence[Message]) -> tuple[str, Target]:
        messages = _joined(listed)
        answered = until_answer(messages, " and ".join(names))
        unanswered.append(len(answered) < len(messages))
        return renderer.render(answered, tools)

    rendered = columns.map_rows(table, render, tools, *parts)
    if count := sum(unanswered):
        table.notes.append(f"{count} conversations are read up to their last answer")
    pairs = [each if isinstance(each, tuple) else (each, each) for each in rendered]
    found = {text: [prompt for prompt, _ in pairs], label: [target for _, target in pairs]}
    return Table(table.name, found, problems=table.problems, notes=table.notes)


def _joined(parts: Sequence[Sequence[Message]]) -> list[Message]:
    return [message for part in parts for message in part]


def _has_answer(messages: Any) -> bool:
    return messages is not UNUSABLE and any(each["role"] == ASSISTANT for each in messages)


def _before_answer(messages: Sequence[Message]) -> Sequence[Message]:
    return messages[:-1] if messages[-1]["role"] == ASSISTANT and len(messages) > 1 else messages


def lone_text_table(table: Table, name: str, text: str, label: str) -> Table:
    """Texts as prompts, their beginnings, and targets, the rest."""
    halves = columns.map_rows(table, _halve, columns.texts(table, "data.text", name))
    table.notes.append(
        f"there is no column {label!r}: every token of {name!r} is learned, and measured is how its second half"
        " follows from the first"
    )
    pairs = [each if isinstance(each, tuple) else (each, each) for each in halves]
    found = {text: [prompt for prompt, _ in pairs], label: [target for _, target in pairs]}
    return Table(table.name, found, problems=table.problems, notes=table.notes)


def _halve(text: str) -> tuple[str, Target]:
    """At the white space nearest to the middle, which begins the second half."""
    middle = len(text) // 2
    inside = [at for at in range(1, len(text)) if text[at].isspace() and text[:at].strip() and text[at:].strip()]
    place = min(inside, key=lambda at: abs(at - middle), default=middle)
    if not text[:place].strip() or not text[place:].strip():
        raise InputError("text is too short to learn how it goes on")
    prompt, rest = text[:place], text[place:]
    return prompt, {"text": rest.strip(), "rendered": rest, "learned": [[0, len(prompt)]]}


def _find_template(tokenizer: PreTrainedTokenizerFast, model: str) -> tuple[str | None, str]:
    if tokenizer.chat_template:
        return None, "the tokenizer's chat template"
    if tokenizer.get_vocab().keys() >= _CHATML_TOKENS:
        return CHATML, "ChatML, as the tokenizer has its tokens and no chat template"
    raise InputError(
        f"model: {model}: its tokenizer has no chat template, so that messages cannot be rendered as text; choose a"
        " chat model, put a chat_template.jinja into the model's folder, or give text columns prompt and completion",
        field="model",
    )
