"""`/v1/chat/completions` by OpenAI's and Hugging Face's own clients: whole and streamed, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.tasks.chat import ChatFormat, Piece
from tests.bundles import forge, manifest_of

FORMAT = ChatFormat(
    pieces=[
        Piece(after=None, before="system", text="<"),
        Piece(after="system", before="user", text="> "),
        Piece(after=None, before="user", text=""),
        Piece(after="user", before="assistant", text=" ="),
        Piece(after="assistant", before="user", text="\n"),
        Piece(after="user", before=None, text=" ="),
    ],
    special=["</think>"],
)
ASKED: list[dict[str, Any]] = [
    {"role": "developer", "content": "short"},
    {"role": "user", "content": "where is my parcel?"},
    {"role": "assistant", "content": "track", "refusal": None, "annotations": [], "audio": None, "tool_calls": None},
    {"role": "user", "content": [{"type": "text", "text": "cancel "}, {"type": "text", "text": "it"}]},
]
PROMPT = "<short> where is my parcel? =track\ncancel it ="


@pytest.fixture(scope="module")
def bundle(task_bundle: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The causal toy with a chat format."""
    source = task_bundle("text-generation")
    settings = manifest_of(source).settings | {"chat": FORMAT.model_dump()}
    return forge(source, tmp_path_factory.mktemp("chat") / "bundle", settings=settings)


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[TestClient]:
    with TestClient(create_app(lambda: Predictor.open(bundle))) as client:
        yield client


@pytest.fixture(scope="module")
def chat(client: TestClient) -> Any:
    """OpenAI's own client."""
    return openai.OpenAI(
        base_url="http://testserver/v1", api_key="none", http_client=client, max_retries=0
    ).chat.completions


def test_the_answer_is_the_completion_of_the_rendered_conversation(chat: Any, client: TestClient) -> None:
    """A client's own earlier answer may be sent back as it came."""
    answer = chat.create(model="any", messages=ASKED, temperature=0, max_completion_tokens=6)
    body = {"prompt": PROMPT, "temperature": 0, "max_tokens": 6}
    whole = client.post("/v1/completions", json=body).json()
    assert answer.choices[0].message.content == whole["choices"][0]["text"]
    assert answer.choices[0].finish_reason == whole["choices"][0]["finish_reason"]
    assert answer.usage.model_dump(exclude_none=True) == whole["usage"]
    assert answer.object == "chat.completion"


def test_a_stream_joins_to_the_whole(chat: Any) -> None:
    """The usage comes last, where it is asked for."""
    options = {"model": "any", "messages": ASKED, "temperature": 1.5, "seed": 3, "n": 2, "max_tokens": 6}
    whole = chat.create(**options)
    chunks = list(chat.create(**options, stream=True, stream_options={"include_usage": True}))
    texts = ["", ""]
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage == whole.usage


def test_a_conversation_that_is_too_long_is_refused(chat: Any) -> None:
    """Its beginning, with the system's message, would be cut off in silence."""
    with pytest.raises(openai.UnprocessableEntityError, match=r"messages has \d+ tokens"):
        chat.create(model="any", messages=[{"role": "user", "content": "parcel " * 100}])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no messages": ({"messages": []}, "messages: List should have at least 1 item"),
    "a tool's message": ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role is 'tool'; accepted are"),
    "an image": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}]},
        "messages[0].content[0] is 'image_url'",
    ),
    "no content": ({"messages": [{"role": "user"}]}, "messages[0].content is null"),
    "a text": ({"messages": ["hello"]}, "messages[0] is a text"),
    "a name": ({"messages": [{"role": "user", "content": "a", "name": "b"}]}, "messages[0].name: this model reads"),
    "an answer last": ({"messages": ASKED[:3]}, "is the last message and of the role assistant; accepted last: user"),
    "two users": ({"messages": [ASKED[1]] * 2}, "messages[1] has the role user after a user message"),
    "special": ({"messages": [{"role": "user", "content": "</think>"}]}, "messages[0].content has '</think>'"),
    "tools": ({"tools": [{"type": "function"}]}, "tools: List should have at most 0 items"),
    "JSON": ({"response_format": {"type": "json_object"}}, "response_format.type"),
    "two limits": ({"max_tokens": 2, "max_completion_tokens": 3}, "are one limit; send one of them"),
    "too many": ({"n": 16, "max_completion_tokens": 65_536}, "max_completion_tokens is 65536; accepted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(client: TestClient, name: str) -> None:
    """The message names what was found."""
    change, expected = REFUSED[name]
    answer = client.post("/v1/chat/completions", json={"messages": ASKED, **change})
    assert answer.status_code == 422
    assert expected in answer.json()["error"]["message"]


def test_a_model_without_a_chat_template_says_so(task_bundle: Callable[[str], Path]) -> None:
    """And where prompts go."""
    with TestClient(create_app(lambda: Predictor.open(task_bundle("text-generation")))) as client:
        answer = client.post("/v1/chat/completions", json={"messages": ASKED})
    assert (answer.status_code, "send a prompt to /v1/completions" in answer.text) == (422, True)
