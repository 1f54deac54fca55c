"""A folder of `--layout hub` answers as its bundle, read by programs that know nothing of Tuneship."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    pipeline,
)
from transformers.modeling_outputs import SequenceClassifierOutput

import export.exporter
from export.bundle.hub.check import HubCheckFailed
from export.bundle.hub.folder import write_hub
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from serving.inference.session import onnxruntime
from tests.bundles import forge, golden_with, manifest_of
from tests.test_cli import assert_refused, tuneship_here
from tests.toys import TOYS
from trainer.run.run import Run

Make = Callable[[str], Path]


@pytest.fixture
def hub_folder(task_bundle: Callable[[str], Path], task_run: Callable[[str], Run], tmp_path: Path) -> Make:
    """Gives the folder of a toy's bundle."""

    def make(toy: str) -> Path:
        root = tmp_path / "hub"
        root.mkdir()
        return write_hub(Bundle.open(task_bundle(toy)), task_run(toy).checkpoint, root).root

    return make


class Reader:
    """What Optimum does: the tokenizer by transformers, the graph by plain onnxruntime."""

    def __init__(self, folder: Path, graph: str = "model.onnx") -> None:
        self.tokenizer, self.config = AutoTokenizer.from_pretrained(folder), AutoConfig.from_pretrained(folder)
        path = str(folder / "onnx" / graph)
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(self, *texts: Any) -> dict[str, np.ndarray[Any, Any]]:
        """By name, the outputs for a text or a pair, or lists of them."""
        tokens = self.tokenizer(*texts, truncation=True, padding=True, return_tensors="np")
        tokens = {name: np.atleast_2d(value) for name, value in tokens.items()}
        names = [node.name for node in self.session.get_outputs()]
        feeds = {node.name: tokens[node.name] for node in self.session.get_inputs()}
        return dict(zip(names, self.session.run(names, feeds), strict=True))


class OnnxModel(torch.nn.Module):
    """The graph in the place of a transformers model, for transformers' own pipeline."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader, self.config, self.device = reader, reader.config, torch.device("cpu")
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, **tensors: torch.Tensor) -> SequenceClassifierOutput:
        """The logits."""
        feeds = {node.name: tensors[node.name].numpy() for node in self.reader.session.get_inputs()}
        return SequenceClassifierOutput(logits=torch.tensor(self.reader.session.run(["logits"], feeds)[0]))

    def can_generate(self) -> bool:
        """It does not."""
        return False


def golden_rows(folder: Path, name: str = "golden.jsonl") -> list[dict[str, Any]]:
    """Those that are read in one window."""
    rows = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    return [row for row in rows if len(row["input_ids"]) == 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "toy", ["text-classification", "two labels", "multi-label-classification", "regression", "text pairs"]
)
def test_transformers_pipeline_gives_the_golden_answers(hub_folder: Make, toy: str) -> None:
    """transformers' own text-classification pipeline on the graph: config.json says which function makes scores."""
    folder = hub_folder(toy)
    reader = Reader(folder)
    classify = pipeline("text-classification", model=OnnxModel(reader), tokenizer=reader.tokenizer)
    for row in golden_rows(folder):
        if toy == "regression":
            [best] = classify([row["inputs"]], truncation=True)
            assert best["score"] == pytest.approx(row["outputs"][0]["score"], rel=1e-6)
            continue
        found = classify(row["inputs"], top_k=None, truncation=True)
        scores = {each["label"]: each["score"] for each in found}
        if toy != "multi-label-classification":
            assert found[0]["label"] == row["outputs"][0]["label"]
        if toy != "two labels":  # has a threshold: `test_graph`
            assert all(scores[each["label"]] == pytest.approx(each["score"], abs=1e-4) for each in row["outputs"])


def test_tags_are_found(hub_folder: Make) -> None:
    """The tokens' logits are those of the bundle: this toy's bias of O is 0."""
    reader = Reader(folder := hub_folder("token-classification"))
    for row in golden_rows(folder):
        assert (
            reader.run(row["inputs"])["logits"][0].argmax(axis=-1).tolist()
            == np.array(row["logits"][0]).argmax(axis=-1).tolist()
        )
    assert reader.config.id2label[0] == "O"
    assert reader.config.architectures == ["BertForTokenClassification"]


def test_spans_are_found(hub_folder: Make) -> None:
    """Under transformers' names; this toy's temperature is 1."""
    reader = Reader(folder := hub_folder("question-answering"))
    rows = golden_rows(folder)
    for row in rows:
        outputs = reader.run(row["inputs"]["question"], row["inputs"]["context"])
        assert {*outputs} == {"start_logits", "end_logits"}
        both = np.stack([outputs[name][0] for name in ("start_logits", "end_logits")], axis=-1)
        assert both == pytest.approx(np.array(row["logits"][0]), abs=1e-3)
    assert reader.config.architectures == ["BertForQuestionAnswering"]


def test_vectors_are_right_by_either_output(hub_folder: Make) -> None:
    """The graph's own pooling, and a reader's own mean of the tokens' vectors, also in a padded batch."""
    reader = Reader(folder := hub_folder("feature-extraction"))
    rows = golden_rows(folder)
    texts = [row["inputs"] for row in rows]
    outputs = reader.run(texts)
    mask = np.asarray(reader.tokenizer(texts, truncation=True, padding=True, return_tensors="np")["attention_mask"])
    pooled = (outputs["last_hidden_state"] * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    expected = np.array([row["outputs"] for row in rows])
    assert outputs["sentence_embedding"] == pytest.approx(expected, abs=1e-5)
    assert pooled / np.linalg.norm(pooled, axis=1, keepdims=True) == pytest.approx(expected, abs=1e-5)


def test_sentence_transformers_reads_it(hub_folder: Make) -> None:
    """Its files name the modules, and the weights are the backbone's."""
    folder = hub_folder("feature-extraction")
    modules = json.loads((folder / "modules.json").read_text())
    assert [each["type"].rpartition(".")[2] for each in modules] == ["Transformer", "Pooling", "Normalize"]
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
    assert pooling["pooling_mode_mean_tokens"]
    assert not pooling["pooling_mode_cls_token"]
    model, row = AutoModel.from_pretrained(folder), golden_rows(folder)[0]
    with torch.no_grad():
        vector = model(input_ids=torch.tensor(row["input_ids"])).last_hidden_state[0].mean(dim=0)
    assert (vector / vector.norm()).numpy() == pytest.approx(np.array(row["outputs"]), abs=1e-5)


def test_a_classifier_without_weights_says_so(hub_folder: Make) -> None:
    """transformers never puts a random head under the labels."""
    folder = hub_folder("text-classification")
    with pytest.raises(OSError, match="model"):
        AutoModelForSequenceClassification.from_pretrained(folder)


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["text-generation", "text2text-generation"])
def test_a_generating_model_has_its_weights(hub_folder: Make, toy: str) -> None:
    """transformers generates with them; ONNX graphs have the names that others look for."""
    folder = hub_folder(toy)
    assert (folder / "model.safetensors").exists()
    assert (folder / "generation_config.json").exists()
    graphs = {
        "text-generation": {"model.onnx"},
        "text2text-generation": {"encoder_model.onnx", "decoder_model_merged.onnx"},
    }
    assert {path.name for path in (folder / "onnx").iterdir()} == graphs[toy]
    if toy == "text-generation":
        AutoModelForCausalLM.from_pretrained(folder)


@pytest.mark.slow
@pytest.mark.parametrize("toy", TOYS)
def test_the_hub_reads_the_card(hub_folder: Make, toy: str) -> None:
    """Valid metadata with the proof's score, and examples for both languages."""
    text = (hub_folder(toy) / "README.md").read_text()
    card = ModelCard(text)
    assert card.data.library_name == "transformers.js"
    assert card.data.eval_results
    assert "```js" in text
    assert "tuneship verify" not in text


@pytest.mark.parametrize("toy", ["text-classification", "text pairs", "feature-extraction", "question-answering"])
def test_the_cards_python_runs(hub_folder: Make, toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, after a download."""
    folder = hub_folder(toy)
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name: str(folder))
    variables: dict[str, Any] = {}
    exec(code, variables)
    assert variables["outputs"]


def test_labels_are_no_markup(tiny_bundle: Path, tiny_run: Run, tmp_path: Path) -> None:
    """A label of Markdown or HTML is shown as it is written, in one line."""
    labels = ["<script>alert(1)</script>", "a *b* [c](d)\n\n# e", "track_it"]
    golden = tmp_path / "golden.jsonl"
    names = dict(zip(manifest_of(tiny_bundle).labels, labels, strict=True))
    rows = [json.loads(line) for line in (tiny_bundle / "golden.jsonl").read_text().splitlines()]
    for row in rows:
        for each in row["outputs"]:
            each["label"] = names[each["label"]]
    golden.write_text("".join(json.dumps(row) + "\n" for row in rows))
    forged = forge(tiny_bundle, tmp_path / "b", files={"golden.jsonl": golden.read_bytes()}, labels=labels)
    (tmp_path / "hub").mkdir()
    write_hub(Bundle.open(forged), tiny_run.checkpoint, tmp_path / "hub")
    text = (tmp_path / "hub" / "README.md").read_text()
    assert text.endswith("- \\<script\\>alert(1)\\</script\\>\n- a \\*b\\* \\[c\\](d) # e\n- track_it\n")
    assert AutoConfig.from_pretrained(tmp_path / "hub").id2label == dict(enumerate(labels))


@pytest.mark.slow
def test_both_variants_and_data_files(tiny_split_bundle: Path, tiny_run: Run, tmp_path: Path) -> None:
    """int8 is model_quantized.onnx; tensors of large graphs are where transformers.js and onnxruntime look for them."""
    (folder := tmp_path / "hub").mkdir()
    write_hub(Bundle.open(tiny_split_bundle), tiny_run.checkpoint, folder)
    names = {"model.onnx", "model.onnx_data", "model_quantized.onnx", "model_quantized.onnx_data"}
    assert {path.name for path in (folder / "onnx").iterdir()} == names
    config = json.loads((folder / "config.json").read_text())
    assert config["transformers.js_config"]["use_external_data_format"] == {"model.onnx": 1, "model_quantized.onnx": 1}
    predictor = Predictor.open(tiny_split_bundle)
    texts = ["where is my parcel?", "refund order 17"]
    for graph, tolerance in (("model.onnx", 0.1), ("model_quantized.onnx", 0.01)):
        logits = Reader(folder, graph).run(texts)["logits"]
        found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        for scores, answer in zip(found, predictor.predict(texts), strict=True):
            assert scores.max() == pytest.approx(answer[0]["score"], abs=tolerance)


def test_a_folder_that_answers_otherwise_is_not_written(tiny_bundle: Path, tiny_run: Run, tmp_path: Path) -> None:
    """The golden rows are answered with its files before it is there."""
    golden = golden_with(tiny_bundle, lambda row: row["outputs"][0].update(score=0.123))
    forged = forge(tiny_bundle, tmp_path / "b", files={"golden.jsonl": golden})
    (tmp_path / "hub").mkdir()
    with pytest.raises(HubCheckFailed, match="row 1: the fp32 graph answers"):
        write_hub(Bundle.open(forged), tiny_run.checkpoint, tmp_path / "hub")


@pytest.mark.slow
def test_the_command(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--layout hub`` proves as an export of a bundle does, and writes the folder in one step."""
    result = tuneship_here("export", tiny_run.root, "--output", tmp_path / "hub", "--layout", "hub")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "proof of the fp32 variant" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]
    files = {path.relative_to(tmp_path / "hub").as_posix() for path in (tmp_path / "hub").rglob("*") if path.is_file()}
    assert files >= {
        "README.md", "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "onnx/model.onnx", "golden.jsonl", "parity.json",
    }  # fmt: skip
    again = tuneship_here("export", tiny_run.root, "--output", tmp_path / "hub", "--layout", "hub")
    assert_refused(again, "hub exists. Choose another --output")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--layout", "onnx"), ("--layout onnx is unknown", "bundle, hub")),
        (("--layout", "hub", "--variant", "auto"), ("no variant 'auto'", "fp32, int8")),
    ],
)
def test_what_is_refused_before_the_work(
    tiny_run: Run, tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """Nothing is written."""
    assert_refused(tuneship_here("export", tiny_run.root, "--output", tmp_path / "hub", *options), *words)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_nothing_is_written_where_fp32_fails(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed check leaves no folder."""

    def fail(*_: Any) -> None:
        raise HubCheckFailed("the folder answers otherwise")

    monkeypatch.setattr(export.exporter, "write_hub", fail)
    result = tuneship_here(
        "export", tiny_run.root, "--output", tmp_path / "hub", "--layout", "hub", "--variant", "fp32"
    )
    assert_refused(result, "the folder answers otherwise")
    assert not any(tmp_path.iterdir())
