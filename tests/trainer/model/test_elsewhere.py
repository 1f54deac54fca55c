"""What transformers and sentence-transformers make of a checkpoint."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import pipeline

from serving.bundle.manifest import Limits
from serving.tasks.base import Task
from serving.tasks.feature_extraction import FeatureExtraction, FeatureExtractionSettings
from serving.tasks.multi_label_classification import MultiLabelClassification, MultiLabelParameters, MultiLabelSettings
from serving.tasks.regression import Regression, RegressionSettings
from serving.tasks.text_classification import TextClassification, TextClassificationSettings
from serving.tasks.token_classification import TokenClassification, TokenClassificationSettings
from tests.zoo import FAMILIES
from trainer.model.architecture import LABELLING, LIBRARY, has_library_head, natural_pooling
from trainer.model.base_model import find_base_model
from trainer.model.checkpoint import (
    Checkpoint,
    ModelSpec,
    build_model,
    load_checkpoint,
    load_tokenizer,
    save_checkpoint,
)
from trainer.model.elsewhere import DRAWING, NOTICE
from trainer.model.heads import Dense, Head, LibraryModel, PooledModel, output_layer
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode
from trainer.model.sentence_modules import read_modules
from trainer.run.run import Run

LIMITS = Limits()
THREE = TextClassification(["no", "yes", "perhaps"], TextClassificationSettings(), LIMITS)
ONE_LOGIT = TextClassification(["no", "yes"], TextClassificationSettings(one_logit=True), LIMITS)
SEVERAL = MultiLabelClassification(["a", "b"], MultiLabelSettings(), LIMITS)
NUMBER = Regression(["price"], RegressionSettings(mean=1000.0, std=25.0), LIMITS)
TAGS = TokenClassification(["O", "B-PER", "I-PER"], TokenClassificationSettings(), LIMITS)
TEXTS = ["where is my parcel?", "refund order 17", "stop that subscription now"]


def saved(base: Path, folder: Path, task: Task, spec: ModelSpec) -> Checkpoint:
    """A checkpoint of a random head, as training saves it."""
    torch.manual_seed(0)
    model = build_model(find_base_model(str(base)), spec, task.labels)
    layer = output_layer(model)
    if layer is not None:
        torch.nn.init.normal_(layer.weight)
        torch.nn.init.normal_(layer.bias)
    save_checkpoint(model, spec, task, load_tokenizer(base), folder)
    return load_checkpoint(folder)


def answers(checkpoint: Checkpoint, parameters: Any = None) -> list[Any]:
    """Of the checkpoint's task to `TEXTS`."""
    task = checkpoint.task
    encoded = encode(checkpoint.tokenizer, task, [task.check(text) for text in TEXTS])
    logits = rows_logits(checkpoint.model, checkpoint.tokenizer, encoded, 8)
    return [task.decode(*pair, parameters) for pair in zip(encoded, logits, strict=True)]


def scores(answer: list[dict[str, Any]]) -> dict[str, float]:
    """By label."""
    return {each["label"]: each["score"] for each in answer}


@pytest.mark.parametrize("task", [THREE, SEVERAL, NUMBER], ids=lambda task: task.name)
def test_a_pipeline_of_texts(tiny_backbone: Path, tmp_path: Path, task: Task) -> None:
    """transformers' pipeline gives the checkpoint's answers, of a regression in the data's unit."""
    spec = ModelSpec("sequence", "cls", task.logits_per_window)
    checkpoint = saved(tiny_backbone, tmp_path / "run", task, spec)
    asked = pipeline("text-classification", str(tmp_path / "run"))(TEXTS, top_k=None)
    ours = answers(checkpoint, MultiLabelParameters(threshold=0) if task is SEVERAL else None)
    for found, expected in zip(asked, ours, strict=True):
        assert scores(found) == pytest.approx(scores(expected), rel=1e-6)
        assert scores(found).keys() == set(task.labels)


def test_a_pipeline_of_one_logit(tiny_backbone: Path, tmp_path: Path) -> None:
    """A lone logit of two labels is the second label's."""
    checkpoint = saved(tiny_backbone, tmp_path / "run", ONE_LOGIT, ModelSpec("sequence", "cls", 1))
    asked = pipeline("text-classification", str(tmp_path / "run"))(TEXTS)
    assert [each["label"] for each in asked] == ["yes"] * 3
    ours = [scores(each)["yes"] for each in answers(checkpoint)]
    assert [each["score"] for each in asked] == pytest.approx(ours, abs=1e-6)


def test_a_pipeline_of_tokens(tiny_backbone: Path, tmp_path: Path) -> None:
    """Each token's tag is the checkpoint's."""
    checkpoint = saved(tiny_backbone, tmp_path / "run", TAGS, ModelSpec("token", "cls", 3))
    asked = pipeline("token-classification", str(tmp_path / "run"))(TEXTS, ignore_labels=[])
    encoded = encode(checkpoint.tokenizer, TAGS, TEXTS)
    for theirs, windows in zip(asked, rows_logits(checkpoint.model, checkpoint.tokenizer, encoded, 8), strict=True):
        assert [each["entity"] for each in theirs] == [TAGS.labels[at] for at in windows[0][1:-1].argmax(axis=1)]


def test_numbers_of_earlier_versions(tiny_backbone: Path, tmp_path: Path) -> None:
    """Whose weights give standard scores, and whose task.json does not say otherwise."""
    saved(tiny_backbone, tmp_path / "run", NUMBER, ModelSpec("sequence", "cls", 1))
    file = tmp_path / "run" / "task.json"
    now = [each[0]["score"] for each in answers(load_checkpoint(tmp_path / "run"))]
    content = json.loads(file.read_text())
    assert content.pop("in_unit") is True
    file.write_text(json.dumps(content))
    then = [each[0]["score"] for each in answers(load_checkpoint(tmp_path / "run"))]
    assert then == pytest.approx([score * 25 + 1000 for score in now])


@pytest.mark.parametrize("toy", ["token-classification", "question-answering"])
def test_a_run_loads_whole(task_run: Callable[[str], Run], toy: str) -> None:
    """transformers' class for the task finds every weight, and the configuration names it."""
    run = task_run(toy)
    head: Head = "token" if toy == "token-classification" else "span"
    model, info = LIBRARY[head].from_pretrained(run.checkpoint, output_loading_info=True)
    assert not any(info.values())
    assert model.config.architectures == [type(model).__name__]
    ours = load_checkpoint(run.checkpoint).model
    assert isinstance(ours, LibraryModel)
    assert all(torch.equal(value, ours.model.state_dict()[name]) for name, value in model.state_dict().items())


def test_a_generating_run_loads_whole(task_run: Callable[[str], Run]) -> None:
    """Also a model that generates."""
    for toy, head in (("text-generation", "causal"), ("text2text-generation", "seq2seq")):
        _, info = LIBRARY[head].from_pretrained(task_run(toy).checkpoint, output_loading_info=True)  # type: ignore[index]
        assert not any(info.values())


def test_no_pipeline_answers_at_random(tiny_run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """A checkpoint whose head is this project's says so where transformers would draw another."""
    for head in LABELLING:
        with caplog.at_level(logging.WARNING), pytest.raises(RuntimeError, match="size"):
            LIBRARY[head].from_pretrained(tiny_run.checkpoint)
        assert NOTICE in caplog.text
        caplog.clear()
    with pytest.raises(ValueError, match="Could not load model"):
        pipeline("text-classification", str(tiny_run.checkpoint))
    _, info = transformers.AutoModel.from_pretrained(tiny_run.checkpoint, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["mismatched_keys"]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["DistilBERT", "RoBERTa", "ModernBERT", "XLNet", "BART", "T5", "GPT-2", "Llama"])
def test_every_family_refuses_random_weights(tmp_path: Path, family: str) -> None:
    """Whatever its heads are called: each class of transformers finds all of its weights, or fails."""
    base = FAMILIES[family](tmp_path / "model")
    config = find_base_model(str(base)).config
    spec = ModelSpec(
        "sequence", natural_pooling(config), 3, library_head=has_library_head(config, "sequence"), layers=2
    )
    checkpoint = saved(base, tmp_path / "run", THREE, spec)
    whole, errors = [], []
    for kind in (*DRAWING, transformers.AutoModelForTextEncoding):
        if type(config) not in kind._model_mapping or (family == "BART" and kind is LIBRARY["causal"]):
            continue  # BART's decoder alone is not in any file of the whole, which transformers calls corrupted
        try:
            _, info = kind.from_pretrained(tmp_path / "run", output_loading_info=True)
        except (RuntimeError, ValueError) as error:
            errors.append(str(error))
        else:
            whole.append(kind.__name__)
            assert not info["missing_keys"]
    assert all(re.search(r"size|config\.num_labels should be 2", error) for error in errors)
    assert ("AutoModelForTextEncoding" if family == "T5" else "AutoModel") in whole
    assert checkpoint.model_spec == spec


def test_sentence_transformers_files(task_run: Callable[[str], Run]) -> None:
    """A run of vectors names its pooling, its length and its normalization; AutoModel loads it without a notice."""
    folder = task_run("feature-extraction").checkpoint
    checkpoint = load_checkpoint(folder)
    length = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    assert length == checkpoint.max_length == find_base_model(str(folder)).default_max_length
    assert isinstance(checkpoint.task.settings, FeatureExtractionSettings)
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
    assert pooling["word_embedding_dimension"] == checkpoint.task.settings.dimensions
    _, info = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())


@pytest.mark.parametrize("dense", [(), (Dense(64, 16), Dense(16, 8, bias=False, activation_function="identity"))])
def test_sentence_modules_are_read_back(tiny_backbone: Path, tmp_path: Path, dense: tuple[Dense, ...]) -> None:
    """Pooling, dense layers with their weights, and length 1; as a base model the run gives the same vectors."""
    task = FeatureExtraction([], FeatureExtractionSettings(dimensions=8 if dense else 64), LIMITS)
    spec = ModelSpec("vector", "cls+mean", 1, normalized=True, dense=dense)
    torch.manual_seed(0)
    model = build_model(find_base_model(str(tiny_backbone)), replace(spec, dense=()), [])
    assert isinstance(model, PooledModel)
    model = PooledModel(model.backbone, "cls+mean", dense=dense, normalized=True)  # type: ignore[arg-type]
    save_checkpoint(model, spec, task, load_tokenizer(tiny_backbone), tmp_path / "run")
    found = read_modules(tmp_path / "run")
    assert (found.pooling, found.dense, found.normalized, found.unsupported) == ("cls+mean", dense, True, ())
    again = build_model(find_base_model(str(tmp_path / "run")), spec, [])
    checkpoint = load_checkpoint(tmp_path / "run")
    assert answers(replace(checkpoint, model=again.eval())) == answers(checkpoint)
