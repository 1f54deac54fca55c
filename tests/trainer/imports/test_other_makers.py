"""Folders of sentence-transformers, cross-encoders, SetFit and PEFT become runs, or say how."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file

from serving.errors import InputError
from tests.tiny import LABELS, toy_rows, write_csv
from tests.trained_elsewhere import make_checkpoint
from tests.zoo import FAMILIES
from trainer.imports.importer import import_checkpoint
from trainer.model.checkpoint import load_checkpoint
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode
from trainer.run.run import Run

TEXTS = [text for text, _ in toy_rows()[::5]]
PAIRS = list(zip(TEXTS, reversed(TEXTS), strict=True))


def imported(model: Path, rows: Any, header: tuple[str, ...] = ("text",), task: str = "", **options: Any) -> Run:
    file = write_csv(model.parent / "rows.csv", rows, header)
    pair = {"text_pair": "other"} if "other" in header else {}
    mapping = {"model": str(model), "data": {"train": str(file), **pair}, **({"task": task} if task else {})}
    return import_checkpoint(mapping, model.parent / "run", console=Console(file=io.StringIO()), **options)


def answers_of(run: Run, items: list[Any]) -> list[Any]:
    saved = load_checkpoint(run.checkpoint)
    encoded = encode(saved.tokenizer, saved.task, items)
    logits = rows_logits(saved.model, saved.tokenizer, encoded, len(items))
    return [saved.task.decode(*pair) for pair in zip(encoded, logits, strict=True)]


@torch.inference_mode()
def mean_vectors(folder: Path) -> torch.Tensor:
    """Of TEXTS, by transformers alone."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    return torch.cat([model(**tokenizer(text, return_tensors="pt")).last_hidden_state.mean(dim=1) for text in TEXTS])


def write_modules(folder: Path, *kinds: str) -> None:
    modules = [
        {"type": f"sentence_transformers.models.{kind}", "path": f"{at}_{kind}"} for at, kind in enumerate(kinds, 1)
    ]
    (folder / "modules.json").write_text(json.dumps([{"type": "x.Transformer", "path": ""}, *modules]))


@pytest.fixture
def model(tiny_backbone: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_backbone, tmp_path / "model"))


def test_sentence_vectors_are_those_of_the_folder(model: Path) -> None:
    """Pooled, through its dense layer, of length 1; where it cuts texts, the run does."""
    write_modules(model, "Pooling", "Dense", "Normalize")
    (model / "2_Dense").mkdir()
    layer = {
        "in_features": 32,
        "out_features": 8,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    (model / "2_Dense" / "config.json").write_text(json.dumps(layer))
    (model / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20, "do_lower_case": False}))
    weights = {"linear.weight": torch.randn(8, 32), "linear.bias": torch.randn(8)}
    save_file(weights, model / "2_Dense" / "model.safetensors")

    run = imported(model, [(text,) for text in TEXTS])
    expected = torch.tanh(mean_vectors(model) @ weights["linear.weight"].T + weights["linear.bias"])
    expected = torch.nn.functional.normalize(expected, dim=-1)
    assert np.allclose(np.array(answers_of(run, TEXTS)), expected.numpy(), atol=1e-5)
    assert run.read_record()["task"] == "feature-extraction"
    assert load_checkpoint(run.checkpoint).max_length == 20


@pytest.mark.parametrize("family", ["BERT", "GPT-2"])
def test_vectors_of_a_model_without_modules(tmp_path: Path, family: str) -> None:
    """The mean of its tokens, where they are asked for: of a language model too."""
    folder = FAMILIES[family](tmp_path / "model")
    run = imported(folder, [(text,) for text in TEXTS], task="feature-extraction")
    expected = torch.nn.functional.normalize(mean_vectors(folder), dim=-1)
    assert np.allclose(np.array(answers_of(run, TEXTS)), expected.numpy(), atol=1e-5)
    assert "mean pooling" in run.read_record()["imported"]["assumed"][0]


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "function"), [("Identity", "none"), ("Sigmoid", "sigmoid")])
def test_a_cross_encoder_scores_pairs(tiny_backbone: Path, tmp_path: Path, activation: str, function: str) -> None:
    """As its own activation says, which is looked up and never imported."""
    from transformers import pipeline

    named = {"version": "5.0", "activation_fn": f"torch.nn.modules.linear.{activation}"}
    folder = make_checkpoint(tiny_backbone, tmp_path / "model", "sequence", ("LABEL_0",))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"sentence_transformers": named}))
    run = imported(folder, PAIRS, ("text", "other"))
    pairs = [{"text": a, "text_pair": b} for a, b in PAIRS]
    expected = pipeline("text-classification", str(folder), device="cpu", function_to_apply=function)(pairs)
    scores = [each[0]["score"] for each in answers_of(run, PAIRS)]
    assert scores == pytest.approx([each["score"] for each in expected], abs=1e-4)
    assert (run.read_record()["task"], run.read_record()["imported"]["kind"]) == ("regression", "CrossEncoder")


@pytest.mark.slow
@pytest.mark.parametrize("labels", [2, 3])
def test_setfit_is_taken_where_its_head_is_saved_safely(model: Path, labels: int) -> None:
    """The pickle is never loaded, and the message says how to save what it holds."""
    write_modules(model, "Pooling")
    (model / "model_head.pkl").write_bytes(b"not even a pickle")
    with pytest.raises(InputError, match=r"may run any code and is never loaded(.|\n)*save_file"):
        imported(model, [(text,) for text in TEXTS])

    rows, rng = 1 if labels == 2 else labels, np.random.default_rng(0)
    coef, intercept = rng.normal(size=(rows, 32)).astype("float32"), rng.normal(size=rows).astype("float32")
    from safetensors.numpy import save_file as save

    classes = {"classes": json.dumps(list(LABELS[:labels]))}
    save({"coef": coef, "intercept": intercept}, model / "model_head.safetensors", metadata=classes)
    run = imported(model, [(text,) for text in TEXTS])
    logits = mean_vectors(model).numpy() @ coef.T + intercept
    both = np.concatenate([np.zeros_like(logits), logits], axis=1) if labels == 2 else logits
    expected = torch.softmax(torch.tensor(both), dim=-1).numpy()
    for answer, scores in zip(answers_of(run, TEXTS), expected, strict=True):
        assert {each["label"]: each["score"] for each in answer} == pytest.approx(
            dict(zip(LABELS[:labels], scores, strict=False)), abs=1e-4
        )


def adapter(base: Path, folder: Path, config: Any, tokens: Sequence[str] = ()) -> Any:
    """A random one for three labels, saved; ``tokens`` are added to its tokenizer and embeddings."""
    from peft import get_peft_model
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
    if tokens:
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer.add_tokens(list(tokens))
        model.resize_token_embeddings(len(tokenizer))
        tokenizer.save_pretrained(folder)
    adapted = get_peft_model(model, config).eval()
    with torch.no_grad():
        for weights in adapted.parameters():
            if weights.requires_grad:
                weights.add_(torch.randn_like(weights) * 0.3)
    adapted.save_pretrained(folder)
    return adapted


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["LORA", "DoRA", "LOHA", "LOKR", "IA3", "OFT"])
def test_an_adapter_is_merged(tiny_backbone: Path, tmp_path: Path, kind: str) -> None:
    """Its own classifier included; labels come from a file, as an adapter has no names for them."""
    import peft
    from transformers import AutoTokenizer

    named = {"LORA": "LoraConfig", "DoRA": "LoraConfig", "LOHA": "LoHaConfig", "LOKR": "LoKrConfig"}
    own = {"DoRA": {"use_dora": True}, "IA3": {"feedforward_modules": []}, "OFT": {"r": 0, "oft_block_size": 4}}
    config = getattr(peft, named.get(kind, f"{kind}Config"))
    options = {"task_type": "SEQ_CLS", "target_modules": ["query", "value"], **own.get(kind, {})}
    adapted = adapter(tiny_backbone, tmp_path / "model", config(**options))
    run = imported(tmp_path / "model", [(text,) for text in TEXTS], labels=list(LABELS))
    tokenizer = AutoTokenizer.from_pretrained(tiny_backbone)
    with torch.inference_mode():
        expected = torch.cat([adapted(**tokenizer(text, return_tensors="pt")).logits.softmax(-1) for text in TEXTS])
    for answer, scores in zip(answers_of(run, TEXTS), expected.tolist(), strict=True):
        assert {each["label"]: each["score"] for each in answer} == pytest.approx(
            dict(zip(LABELS, scores, strict=True)), abs=1e-4
        )
    assert run.read_record()["imported"]["adapter of"] == str(tiny_backbone)


def test_an_adapter_with_tokens_of_its_own(tiny_backbone: Path, tmp_path: Path) -> None:
    """Its tokenizer and its embeddings are taken, not its base model's."""
    from peft import LoraConfig

    config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"])
    adapted = adapter(tiny_backbone, tmp_path / "model", config, ["<url>"])
    run = imported(tmp_path / "model", [("refund <url>",), *((text,) for text in TEXTS)], labels=list(LABELS))
    saved = load_checkpoint(run.checkpoint)
    inputs = saved.tokenizer("refund <url>", return_tensors="pt")
    assert saved.tokenizer.convert_tokens_to_ids("<url>") in inputs["input_ids"]
    with torch.inference_mode():
        assert torch.allclose(saved.model(**inputs)["logits"], adapted(**inputs).logits, atol=1e-4)


def test_an_adapter_without_the_head_of_its_task(tiny_backbone: Path, tmp_path: Path) -> None:
    """transformers would draw one at random."""
    from peft import LoraConfig
    from safetensors.torch import load_file

    adapter(tiny_backbone, tmp_path / "model", LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"]))
    file = tmp_path / "model" / "adapter_model.safetensors"
    save_file({name: each for name, each in load_file(file).items() if "lora" in name}, file)
    with pytest.raises(InputError, match="2 weights of its head, so that it would answer at random"):
        imported(tmp_path / "model", [(text,) for text in TEXTS], labels=list(LABELS))


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        (
            lambda folder: (folder / "adapter_model.safetensors").unlink(),
            "has no adapter_model.safetensors, and pickled",
        ),
        (
            lambda folder: write(folder, peft_type="PROMPT_TUNING"),
            "an adapter of type 'PROMPT_TUNING', which cannot be merged",
        ),
        (lambda folder: write(folder, base_model_name_or_path=None), "names no base_model_name_or_path"),
    ],
)
def test_an_adapter_that_cannot_be_merged(tmp_path: Path, breaks: Any, told: str) -> None:
    """Each with the reason."""
    folder = tmp_path / "model"
    folder.mkdir()
    write(folder, peft_type="LORA", base_model_name_or_path="x")
    save_file({"a": torch.zeros(1)}, folder / "adapter_model.safetensors")
    breaks(folder)
    with pytest.raises(InputError, match=told):
        imported(folder, [(text,) for text in TEXTS])


def write(folder: Path, **values: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values}))
