"""For each path, how a request body is read and how answers are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serving.protocols import hugging_face, instances, similarity, tei
from serving.protocols.base import Check, Reply, Request
from serving.protocols.lazy_module import LazyModule
from serving.protocols.openai_models import requested_model
from serving.tasks import TASKS
from serving.tasks.base import Encoded, Task
from serving.tasks.feature_extraction import FeatureExtraction
from serving.tasks.generation import Generation, TextGeneration, Token
from serving.tasks.multi_label_classification import MultiLabelClassification
from serving.tasks.text_classification import TextClassification

classify, rerank, embeddings, decisions, completions, chat, sampling = (
    LazyModule(f"serving.protocols.{name}")
    for name in (
        "classify",
        "rerank",
        "openai_embeddings",
        "openai_decisions.decide",
        "openai_generation.completions",
        "openai_generation.chat",
        "openai_generation.sampling",
    )
)

DECISIONS = "/v1/decisions"
"""Where an endpoint may ask several models."""


@dataclass(frozen=True)
class Events:
    """Server-sent events: those before the first token, a prompt's token, those after the last (of so many), or an
    error's kind and message in their place."""

    opening: Callable[[Request, list[Encoded]], list[bytes]]
    token: Callable[[Request, int, Token], bytes]
    closing: Callable[[Request, list[Encoded], int], list[bytes]]
    error: Callable[[str, str], bytes]


@dataclass(frozen=True)
class ApiProtocol:
    """The format of requests and answers at a path; ``parse`` raises InputError.

    ``events`` is None if it cannot stream, ``requested_model`` if a body cannot name a model.
    """

    summary: str
    tasks: frozenset[str]
    parse: Callable[[bytes, Task, Check], Request]
    render: Callable[[Task, Request, Reply], Any]
    events: Events | None = None
    requested_model: Callable[[bytes], str] | None = None


VECTORS = frozenset({FeatureExtraction.name})
HUGGING_FACE = ApiProtocol("Hugging Face's inference API", frozenset(TASKS), hugging_face.parse, hugging_face.render)
INSTANCES = ApiProtocol(
    "Instances to predictions, as TensorFlow Serving, KServe and Vertex AI",
    frozenset(TASKS),
    instances.parse,
    instances.render,
)
EMBED = ApiProtocol("Sentence vectors, as text-embeddings-inference", VECTORS, tei.parse_embed, tei.render)

SIMILARITY = ApiProtocol(
    "How alike a text is to others, as text-embeddings-inference", VECTORS, similarity.parse, similarity.render
)
SCORING = frozenset(task.name for task in tei.SCORING_TASKS)
DOCUMENTS = ApiProtocol(
    "Documents by their score beside a query, as Cohere, Jina and vLLM, by a model of pairs",
    SCORING,
    rerank.parse_documents,
    rerank.render,
    requested_model=requested_model,
)

PROTOCOLS = {
    "/predict": HUGGING_FACE,
    "/embed": EMBED,
    "/tei/predict": ApiProtocol(
        "Labels and scores, always as text-embeddings-inference",
        SCORING,
        tei.parse_predict,
        tei.render,
    ),
    "/tei/embed": EMBED,
    "/similarity": SIMILARITY,
    "/tei/similarity": SIMILARITY,
    "/rerank": ApiProtocol(
        "Texts by their score beside a query, as text-embeddings-inference, Cohere or Jina, by a model of pairs",
        SCORING,
        rerank.parse,
        rerank.render,
        requested_model=requested_model,
    ),
    "/tei/rerank": ApiProtocol(
        "Texts by their score beside a query, as text-embeddings-inference, by a model of pairs",
        SCORING,
        rerank.parse_texts,
        rerank.render,
    ),
    "/v1/rerank": DOCUMENTS,
    "/v2/rerank": DOCUMENTS,
    DECISIONS: ApiProtocol(
        "Questions that a model's labels answer, as OpenAI's decisions",
        SCORING,
        decisions.parse,
        decisions.render,
        requested_model=requested_model,
    ),
    "/classify": ApiProtocol(
        "Labels and scores, as vLLM; with raw_scores as Infinity",
        frozenset({TextClassification.name, MultiLabelClassification.name}),
        classify.parse,
        classify.render,
        requested_model=requested_model,
    ),
    "/v1/embeddings": ApiProtocol(
        "Sentence vectors, as OpenAI", VECTORS, embeddings.parse, embeddings.render, requested_model=requested_model
    ),
    "/v1/completions": ApiProtocol(
        "Text generation, as OpenAI; streamed with stream: true",
        frozenset(name for name, kind in TASKS.items() if issubclass(kind, Generation)),
        completions.parse,
        completions.render,
        Events(completions.opening_events, completions.token_event, sampling.closing_events, sampling.error_event),
        requested_model,
    ),
    "/v1/chat/completions": ApiProtocol(
        "Answers to conversations, as OpenAI, by a model with a chat template; streamed with stream: true",
        frozenset({TextGeneration.name}),
        chat.parse,
        chat.render,
        Events(chat.opening_events, chat.token_event, sampling.closing_events, sampling.error_event),
        requested_model,
    ),
}
