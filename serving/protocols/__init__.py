"""The request shapes that are understood, by the path that speaks each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serving.protocols import hugging_face as predict
from serving.protocols import openai_completions as completions
from serving.protocols import openai_embeddings as embeddings
from serving.protocols import openai_models as openai
from serving.protocols import tei
from serving.protocols.base import Check, Reply, Request
from serving.tasks import TASKS
from serving.tasks.base import Encoded, Task
from serving.tasks.feature_extraction import FeatureExtraction
from serving.tasks.generation import Generation, Token


@dataclass(frozen=True)
class Events:
    """Server-sent events of a dialect: before the first token, of a prompt's token, behind the last."""

    opening: Callable[[Request, list[Encoded]], list[bytes]]
    token: Callable[[Request, int, Token], bytes]
    closing: Callable[[], bytes]


@dataclass(frozen=True)
class ApiProtocol:
    """A shape of request and answer.

    Attributes:
        summary: what it is, for the OpenAPI document.
        tasks: the tasks that it can speak of.
        parse: body, task and check to a request; raises InputError for a shape it does not know, or another task's.
        render: task, request and what was found to the body that is sent back.
        events: how answers are streamed, where they can be.
        named: a body to the name of the model that it asks for, where the shape has a place for one.
    """

    summary: str
    tasks: frozenset[str]
    parse: Callable[[bytes, Task, Check], Request]
    render: Callable[[Task, Request, Reply], Any]
    events: Events | None = None
    requested_model: Callable[[bytes], str] | None = None


VECTORS = frozenset({FeatureExtraction.name})

HUGGING_FACE = ApiProtocol("Hugging Face's inference shapes", frozenset(TASKS), predict.parse, predict.render)

EMBED = ApiProtocol("Sentence vectors, as text-embeddings-inference", VECTORS, tei.parse_embed, tei.render)

PROTOCOLS = {
    "/predict": HUGGING_FACE,
    "/embed": EMBED,
    "/tei/predict": ApiProtocol(
        "Labels and scores, always as text-embeddings-inference", tei.SCORING, tei.parse_predict, tei.render
    ),
    "/tei/embed": EMBED,
    "/v1/embeddings": ApiProtocol(
        "Sentence vectors, as OpenAI",
        VECTORS,
        embeddings.parse,
        embeddings.render,
        requested_model=openai.requested_model,
    ),
    completions.PATH: ApiProtocol(
        "Text generation, as OpenAI; streamed with stream: true",
        frozenset(name for name, kind in TASKS.items() if issubclass(kind, Generation)),
        completions.parse,
        completions.render,
        Events(completions.opening, completions.event, completions.closing),
        openai.requested_model,
    ),
}
