"""``/rerank``: texts by how well they match a query, as text-embeddings-inference, or as Cohere, Jina and vLLM."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import Field

from serving.errors import InputError, InputTooLarge
from serving.protocols.base import Check, Reply, Request, check_inputs, require_task, validate_body
from serving.protocols.json_body import load_json
from serving.protocols.tei import SCORING_TASKS, Direction
from serving.tasks.base import Task
from serving.tasks.feature_extraction import FeatureExtraction
from serving.tasks.inputs import PAIR, PairTask, check_text
from serving.tasks.positive import positive_label
from serving.tasks.regression import Regression
from serving.tasks.strict_model import StrictModel
from serving.tasks.text_classification import TextClassification


class _Texts(StrictModel):
    """text-embeddings-inference's."""

    query: Any
    texts: Any
    raw_scores: bool = False
    return_text: bool = False
    truncate: bool | None = None
    truncation_direction: Direction = "right"


class _Documents(StrictModel):
    """Cohere's, Jina's and vLLM's."""

    query: Any
    documents: Any
    model: str = ""
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = False
    user: str | None = None


def parse(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError. ``documents`` tells which of the two shapes it is."""
    content = load_json(body, task)
    has_documents = isinstance(content, dict) and "documents" in content
    return _parse_documents(content, task) if has_documents else _parse_texts(content, task)


def parse_texts(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError."""
    return _parse_texts(load_json(body, task), task)


def parse_documents(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError."""
    return _parse_documents(load_json(body, task), task)


def render(task: Task, request: Request, reply: Reply) -> Any:
    """Best first; of equal ones the first."""
    label = task.labels[_relevant(task)]
    scores = [next(each["score"] for each in answer if each["label"] == label) for answer in reply.answers]
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    texts = [item[1] for item in request.items]
    if isinstance(request.options, _Texts):
        more = [{"text": text} if request.options.return_text else {} for text in texts]
        return [{"index": index, **more[index], "score": scores[index]} for index in order]
    options: _Documents = request.options
    document = [{"document": {"text": text}} if options.return_documents else {} for text in texts]
    tokens = sum(each.tokens for each in reply.encoded)
    return {
        "id": f"rerank-{uuid.uuid4().hex}",
        "model": options.model,
        "results": [
            {"index": index, **document[index], "relevance_score": scores[index]} for index in order[: options.top_n]
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _parse_documents(content: Any, task: Task) -> Request:
    """A document is a text, or an object that has only one."""
    options = validate_body(_Documents, content)
    documents = options.documents
    if isinstance(documents, list):
        documents = [each["text"] if isinstance(each, dict) and each.keys() == {"text"} else each for each in documents]
    return _request(task, options, documents, "documents", {})


def _parse_texts(content: Any, task: Task) -> Request:
    options = validate_body(_Texts, content)
    parameters: dict[str, Any] = {
        "truncate": options.truncate is not False,
        "truncation_direction": options.truncation_direction,
    }
    if options.raw_scores and isinstance(task, TextClassification):
        parameters["function_to_apply"] = "none"
    return _request(task, options, options.texts, "texts", parameters)


def _request(task: Task, options: _Texts | _Documents, texts: Any, field: str, parameters: dict[str, Any]) -> Request:
    _relevant(task)
    query = check_text(options.query, "query", task.limits)
    if not isinstance(texts, list):
        raise InputError(f"{field} must be a list of texts", field=field)
    pairs = check_inputs(texts, task, lambda text, name: (query, check_text(text, name, task.limits)), field)
    if len(query) * len(pairs) > (limit := task.limits.max_body_bytes):  # it is read beside each
        message = (
            f"query has {len(query):,} characters beside {len(pairs)} texts; together at most {limit:,} are accepted"
        )
        raise InputTooLarge(message, field="query")
    fields = [f"{field}[{index}]" for index in range(len(pairs))]
    pairs = [task.check(dict(zip(PAIR, pair, strict=True))) for pair in pairs]  # as `/predict` reads them
    return Request(pairs, False, task.parameters_type(**parameters), options, field=field, fields=fields)


def _relevant(task: Task) -> int:
    """Which label's score ranks; raises InputError where no label's does."""
    if isinstance(task, FeatureExtraction):
        raise InputError("reranking scores a query beside each text, and this model gives vectors; send to /similarity")
    require_task(task, SCORING_TASKS, "reranking scores a query beside each text")
    assert isinstance(task, PairTask)
    if not task.is_pair:
        raise InputError("reranking scores a query beside each text, and this model reads single texts")
    if isinstance(task, Regression):
        return 0
    if isinstance(task, TextClassification):
        index = 1 if task.settings.one_logit else positive_label(task.labels)
        if index is not None:
            return index
    labels = ", ".join(task.labels[:5]) + (", …" if len(task.labels) > 5 else "")
    known = "a number, or two labels of which one means yes (1 and 0, true and false, relevant and not_relevant)"
    raise InputError(f"reranking needs {known}; this model's labels are {labels}")
