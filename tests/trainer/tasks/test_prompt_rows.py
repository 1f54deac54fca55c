"""What a generating model learns from: prompts, conversations, texts alone, and targets that are too long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from serving.errors import InputError
from serving.tasks.chat import Message
from tests.sharing import made_once
from tests.tiny_generators import make_gpt2, make_t5
from tests.trainer.conftest import training_task
from trainer.data.table import Table
from trainer.model.base_model import find_base_model
from trainer.model.checkpoint import load_tokenizer
from trainer.model.inputs import IGNORED, encode
from trainer.tasks.base import Example, TrainingTask

TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'tool' and not tools %}{{ raise_exception('no tools') }}{% endif %}"
    "[{{ m['role'] }}] {{ m['content'] }}{{ eos_token if m['role'] == 'assistant' else '' }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT-2 whose tokenizer has a chat template."""

    def make(folder: Path) -> None:
        make_gpt2(folder / "gpt2")
        tokenizer = AutoTokenizer.from_pretrained(folder / "gpt2")
        tokenizer.chat_template = TEMPLATE
        tokenizer.save_pretrained(folder / "gpt2")

    return made_once(tmp_path_factory, "chat-model", make) / "gpt2"


def prepared(model: Path, length: int = 96, name: str = "text-generation", **data: Any) -> TrainingTask:
    task = training_task(name, data)
    base = find_base_model(str(model), str(model), None)
    task.prepare(base, load_tokenizer(base.folder, length))
    return task


def table(*rows: dict[str, Any]) -> Table:
    return Table("a.jsonl", {name: [row.get(name) for row in rows] for name in rows[0]})


def example(task: TrainingTask, inputs: str, target: Any) -> Example:
    """What training makes of a row."""
    tokenizer = task._tokenizer  # type: ignore[attr-defined]
    served = task.task([], task.settings(None, [], tokenizer.model_max_length))  # type: ignore[arg-type]
    return task.examples(served, encode(tokenizer, served, [inputs]), target)[0]


def decode(task: TrainingTask, ids: Sequence[int]) -> str:
    text: str = task._tokenizer.decode([each for each in ids if each != IGNORED])  # type: ignore[attr-defined]
    return text


def said(*turns: str) -> list[dict[str, str]]:
    return [{"role": "assistant" if at % 2 else "user", "content": text} for at, text in enumerate(turns)]


def test_a_served_conversation_is_rendered_as_a_learned_one(chat_model: Path) -> None:
    """The settings have the chat template as data."""
    task = prepared(chat_model)
    settings: Any = task.settings(None, [], 96)  # type: ignore[arg-type]
    asked = said("hello", "hi there", "and you?")
    messages = [Message(**each) for each in asked]  # type: ignore[arg-type]
    assert settings.chat.render(messages) == task.rows(table({"messages": [*asked, *said("", "fine")[1:]]})).inputs[0]


CONVERSATIONS: dict[str, dict[str, Any]] = {
    "messages": {"messages": said("hello", "hi there", "and you?", "fine")},
    "messages as text": {"messages": json.dumps(said("hello", "hi there", "and you?", "fine"))},
    "ShareGPT": {
        "conversations": [
            {"from": "human" if at % 2 == 0 else "gpt", "value": text}
            for at, text in enumerate(("hello", "hi there", "and you?", "fine"))
        ]
    },
    "prompt and completion": {
        "prompt": said("hello", "hi there", "and you?"), "completion": [{"role": "assistant", "content": "fine"}]
    },
    "parts": {
        "messages": [*said("hello", "hi there", "and you?"),
                     {"role": "assistant", "content": [{"type": "text", "text": "fine"}]}]
    },
    "a question without an answer at the end": {"messages": said("hello", "hi there", "and you?", "fine", "why?")},
}  # fmt: skip


@pytest.mark.parametrize("kind", CONVERSATIONS)
def test_conversation(chat_model: Path, kind: str) -> None:
    """The last answer is the completion, all before it the prompt as a server gets it; every answer is learned."""
    task = prepared(chat_model)
    found = table(CONVERSATIONS[kind])
    rows = task.rows(found)
    prompt = "[user] hello\n[assistant] hi there<|endoftext|>\n[user] and you?\n[assistant] "
    assert (rows.inputs, rows.targets[0]["text"]) == ([prompt], "fine")
    assert "a served prompt is text rendered by it" in found.notes[0]
    made = example(task, prompt, rows.targets[0])
    assert decode(task, made.windows[0].ids) == f"{prompt}fine<|endoftext|>"
    assert decode(task, made.label) == "hi there<|endoftext|>\nfine<|endoftext|>"


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], "messages is an empty list; a list of messages"),
        (None, "messages is missing"),
        (["hello"], "messages[0] is a text; give an object with role and content"),
        ([{"role": "narrator", "content": "x"}], "messages[0] has the role 'narrator'; accepted: assistant, developer"),
        (said("hello"), "messages has no message of the role assistant"),
        ([{"role": "assistant", "content": "x"}], "messages has no message before the assistant's"),
        (said("hello", ""), "messages[1]: the assistant's content is empty"),
        ([{"role": "user", "content": [{"type": "image"}]}], "messages[0]: content is [{'type': 'image'}]; only text"),
        ([{"role": "tool", "content": "x"}, *said("a", "b")], "the chat template refuses them: no tools"),
    ],
)
def test_wrong_conversation(chat_model: Path, messages: Any, expected: str) -> None:
    """What is no conversation is told by its row."""
    found = table({"messages": said("hello", "hi")}, {"messages": messages})
    assert len(prepared(chat_model).rows(found)) == 1
    assert f"row 2: {expected}" in found.problems.message("a").replace("messages: the", "the")


def test_no_chat_template(tmp_path: Path) -> None:
    """Without a template it is told what to do."""
    with pytest.raises(InputError, match="its tokenizer has no chat template, so that messages cannot be rendered"):
        prepared(make_gpt2(tmp_path / "gpt2")).rows(table({"messages": said("hello", "hi")}))


def test_text_alone(chat_model: Path) -> None:
    """Of a text without a completion every token is learned; the second half is what is measured."""
    task = prepared(chat_model)
    found = table({"text": "my parcel is very late"}, {"text": "x"})
    rows = task.rows(found)
    assert (rows.inputs, rows.targets[0]["text"]) == (["my parcel is"], "very late")
    assert "row 2: text is too short to learn how it goes on" in found.problems.message("a")
    made = example(task, rows.inputs[0], rows.targets[0])
    assert made.label == made.windows[0].ids
    assert decode(task, made.label) == "my parcel is very late<|endoftext|>"


LONG = "where is my parcel? " * 8


def test_completion_that_is_cut(chat_model: Path) -> None:
    """Of a completion that is cut no end is learned; one that fits has its end."""
    task = prepared(chat_model, 24)
    cut, whole = example(task, "say", LONG).label, example(task, "say", "hi").label
    assert decode(task, whole) == "hi<|endoftext|>"
    assert LONG.startswith(decode(task, cut))
    assert "<|endoftext|>" not in decode(task, cut)


def test_target_that_is_cut(tmp_path: Path) -> None:
    """The same for an encoder-decoder, and the warnings count rows and say what to set."""
    task = prepared(make_t5(tmp_path / "t5"), 24, "text2text-generation", max_new_tokens=12)
    label = example(task, "say", LONG).label
    assert len(label) == 24
    assert "</s>" not in decode(task, label)
    assert decode(task, example(task, "say", "hi").label).endswith("</s>")
    rows = task.rows(table({"text": "say", "label": LONG}, {"text": "hum", "label": "hi"}))
    needed = len(task._target_ids(LONG)) + 1  # type: ignore[attr-defined]
    served = task.task([], task.settings(rows, [], 24))
    assert task.warnings(served, rows) == [
        "1 of 2 training targets are longer than data.max_length (24 tokens): their ends are cut off, and where an"
        f" answer ends is not learned from them; set data.max_length: {needed} to learn them whole",
        "1 of 2 training targets have more tokens than data.max_new_tokens (12), so that unasked an answer ends"
        f" before; the longest has {needed}",
    ]


def test_rows_that_are_cut(chat_model: Path) -> None:
    """A prompt and its completion share a window: which side loses what is told."""
    task = prepared(chat_model, 24)
    rows = task.rows(table({"prompt": LONG, "completion": "hi"}, {"prompt": "say", "completion": LONG}))
    warning = task.warnings(task.task([], task.settings(rows, [], 24)), rows)[0]
    assert warning.startswith(
        "2 of 2 training rows are longer than data.max_length (24 tokens for prompt and completion): the beginning of"
        " the prompt is cut off, of 1 the completion's end too"
    )


def test_completion_without_tokens(tmp_path: Path) -> None:
    """A target of which the tokenizer leaves nothing is told by row."""
    found = table({"text": "say", "label": "hi"}, {"text": "say", "label": "\u200b"})
    task = prepared(make_t5(tmp_path / "t5"), 24, "text2text-generation")
    task._target_ids = lambda target: []  # type: ignore[attr-defined]
    assert len(task.rows(found)) == 1
    assert "row 2: label has no tokens" in found.problems.message("a")
