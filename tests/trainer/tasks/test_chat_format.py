"""Chat templates as data: both render every conversation alike, or the template is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from serving.errors import InputError
from serving.tasks.chat import Message
from trainer.tasks.chat_format import Render, find_chat_format
from trainer.tasks.prompt_rows import CHATML

DEFAULT_SYSTEM = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n"
    "{% endif %}<|im_start|>{{ m['role'] + '\n' + m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HEADERS = (
    "<s>{% for m in messages %}<|header|>{{ m['role'] }}<|end|>\n\n{{ m['content'] | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|header|>assistant<|end|>\n\n{% endif %}"
)
INSTRUCTIONS = (
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set first = messages[0]['content'] %}"
    "{% else %}{% set rest = messages %}{% set first = false %}{% endif %}{% for m in rest %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if loop.index0 == 0 and first != false %}{% set text = '<<SYS>>\n' + first + '\n<</SYS>>\n\n' + m['content'] %}"
    "{% else %}{% set text = m['content'] %}{% endif %}{% if m['role'] == 'user' %}"
    "<s>[INST] {{ text.strip() }} [/INST]{% else %} {{ text.strip() }} </s>{% endif %}{% endfor %}"
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "<turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}</turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>model\n{% endif %}"
)
THINKING = (
    "{% for m in messages %}{% set text = m['content'] %}{% if m['role'] == 'assistant' and '</think>' in text %}"
    "{% set text = text.split('</think>')[-1] %}{% endif %}<|{{ m['role'] }}|>{{ text }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
SYSTEM_IN_LAST = (
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set first = messages[0]['content'] %}"
    "{% else %}{% set rest = messages %}{% endif %}{% for m in rest %}{% if m['role'] == 'user' %}[INST] "
    "{% if loop.last and first is defined %}{{ first }}\n\n{% endif %}{{ m['content'] }}[/INST]"
    "{% else %} {{ m['content'] }}</s>{% endif %}{% endfor %}"
)
TEMPLATES = {
    "ChatML": CHATML,
    "a system message of its own": DEFAULT_SYSTEM,
    "headers": HEADERS,
    "instructions": INSTRUCTIONS,
    "no system message": NO_SYSTEM,
    "thoughts left out": THINKING,
    "system in the last message": SYSTEM_IN_LAST,
}
ORDERS = ("u", "su", "uau", "suau", "uauau", "suauau", "uu", "sau")
REFUSED = {
    "numbers": ("{% for m in messages %}{{ loop.index }}: {{ m['content'] }}{% endfor %}", "depends on other messages"),
    "capitals": ("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}", "content of a user message"),
    "lengths": (
        "{% for m in messages %}{{ '!' if m['content'] | length > 500 }}{{ m['content'] }}{% endfor %}",
        "depends on more than the roles",
    ),
    "lines": (
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'].lstrip('\n') }}{% endfor %}",
        "changes the content of",
    ),
}


def renderer(template: str) -> Render:
    """As transformers renders."""

    def fail(message: str) -> None:
        raise InputError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    compiled = environment.from_string(template)

    def render(messages: Sequence[Message]) -> str:
        rows = [asdict(each) for each in messages]
        return compiled.render(messages=rows, add_generation_prompt=True, raise_exception=fail)

    return render


def conversation(order: str) -> list[Message]:
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [Message(roles[each], f"message {at}: «{each}»,\n 王芳") for at, each in enumerate(order)]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TEMPLATES)
def test_both_render_alike(name: str) -> None:
    """What the data does not render, the template refuses too, or it is told."""
    render = renderer(TEMPLATES[name])
    found = find_chat_format(render, TEMPLATES[name])
    pairs = {(piece.after, piece.before) for piece in found.pieces}
    known = [
        each for each in map(conversation, ORDERS) if set(pairwise([None, *(m.role for m in each), None])) <= pairs
    ]
    assert len(known) >= 3
    assert [found.render(each) for each in known] == [render(each) for each in known]
    for order in {*map(tuple, map(conversation, ORDERS))} - {*map(tuple, known)}:
        with pytest.raises(InputError, match="chat template does not take"):
            found.render(order)


def test_a_content_that_the_template_reads_itself_is_refused() -> None:
    """Its own strings are tried as contents."""
    found = find_chat_format(renderer(THINKING), THINKING)
    with pytest.raises(InputError, match=r"messages\[1\].content has '</think>', which this model's chat template"):
        found.render([Message("user", "hi"), Message("assistant", "hm</think>yes"), Message("user", "more")])


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_that_is_more_than_texts_is_refused(name: str) -> None:
    """Nothing is served that would be another prompt."""
    template, reason = REFUSED[name]
    with pytest.raises(InputError, match=reason):
        find_chat_format(renderer(template), template)
