"""What text-embeddings-inference's ``/info`` tells of a model and a server."""

from __future__ import annotations

from typing import Any

from serving.dialects.tei import SCORED
from serving.predictor import Predictor
from serving.tasks.feature_extraction import FeatureExtraction
from serving.traffic import Traffic
from serving.version import VERSION


def describe(predictor: Predictor, traffic: Traffic) -> dict[str, Any]:
    """What TEI's ``/info`` tells, by its names; ``pooling`` is null where the recipe left it to the base model."""
    manifest, shape = predictor.manifest, predictor.shape
    return {
        "model_id": str(manifest.model.get("id") or manifest.name),
        "model_sha": manifest.model.get("revision"),
        "model_dtype": {"fp32": "float32", "fp16": "float16"}.get(manifest.graph.variant, manifest.graph.variant),
        **_model_type(predictor),
        "max_concurrent_requests": traffic.bounds.rows,
        "max_input_length": manifest.tokenizer.max_length,
        "max_batch_tokens": shape.tokens,
        "max_batch_requests": shape.rows,
        "max_client_batch_size": manifest.limits.max_inputs,
        "auto_truncate": True,
        "tokenization_workers": 1,
        "version": VERSION,
        "sha": None,
        "docker_label": None,
    }


def _model_type(predictor: Predictor) -> dict[str, Any]:
    """Nothing for tasks that TEI does not know."""
    task = predictor.task
    if isinstance(task, FeatureExtraction):
        head = predictor.manifest.training.get("recipe", {}).get("model_head", {})
        return {"model_type": {"embedding": {"pooling": head.get("pooling")}}}
    if not isinstance(task, SCORED):
        return {}
    id2label = {str(place): label for place, label in enumerate(task.labels)}
    label2id = {label: place for place, label in enumerate(task.labels)}
    return {"model_type": {"classifier": {"id2label": id2label, "label2id": label2id}}}
