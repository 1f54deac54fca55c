"""Every task and every way to train goes from a recipe to a proven bundle, and a wrong bundle is found out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from export.exporter import ProofFailed, export_run
from export.proof.answers.hard_strings import hard_inputs
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from tests import tiny_generators
from tests.bundles import trained_bundle
from tests.toys import TOYS, write_toy
from trainer.model.checkpoint import build_model
from trainer.model.heads import backbone_of, head_of
from trainer.model.layers import layers_of
from trainer.model.trainable import choose_weights
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.setup.training_setup import prepare_setup


@pytest.mark.parametrize("toy", TOYS)
def test_a_task_is_proven_by_its_own_score(
    task_bundle: Callable[[str], Path], task_run: Callable[[str], Run], toy: str
) -> None:
    """Equal token ids and decisions on every input; the score is the task's metric, that of run.json."""
    verdict, record = Bundle.open(task_bundle(toy)).manifest.verdict, task_run(toy).read_record()
    assert verdict.passed
    assert verdict.token_ids_equal
    assert verdict.answers_equal == (None if toy in ("regression", "feature-extraction") else verdict.rows)
    assert verdict.metric == record["metric"]
    assert verdict.reference_score == pytest.approx(record["metrics"]["test"][verdict.metric], abs=1e-6)


@pytest.mark.parametrize("toy", TOYS)
def test_hard_inputs_have_the_tasks_shape(task_bundle: Callable[[str], Path], toy: str) -> None:
    """Emoji, right-to-left and over-long texts in every text of an input; most are answered."""
    predictor = Predictor.open(task_bundle(toy))
    inputs = [each for each in hard_inputs(predictor.task) if all(str(text).strip() for text in _texts(each))]
    answered = [each for each in inputs if _fits(predictor, each)]
    assert len(answered) >= 5  # where windows are short, long questions leave no room for a context
    assert len(predictor.predict(answered)) == len(answered)


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["text-classification", "token-classification"])  # one for each kind of head
def test_a_classifier_may_read_several_layers(tiny_backbone: Path, tmp_path: Path, toy: str) -> None:
    """The last two layers side by side; the bundle is proven like any other."""
    bundle = trained_bundle(toy, tiny_backbone, tmp_path, model_head={"layers": 2}, num_train_epochs=1)
    assert Predictor.open(bundle).manifest.verdict.passed


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"trainable": "classifier"}, "head"),
        ({"trainable": "last_layers", "last_layers": 1}, "head and the last layer"),
        ({"trainable": "lora", "lora": {"r": 2}}, "head and adapters"),
        ({"freeze_embeddings": True}, "all but the word vectors"),
    ],
)
def test_only_the_chosen_weights_learn(
    tiny_backbone: Path, tmp_path: Path, training: dict[str, Any], expected: str
) -> None:
    """Every other weight has no gradient."""
    plan = prepare_setup(
        load_recipe(write_toy(tmp_path, tiny_backbone, "text-classification", training=training)), tmp_path
    )
    model = build_model(plan.base, plan.model_spec, plan.splits.labels)
    choose_weights(model, plan.recipe.training)
    training_task = {name for name, weight in model.named_parameters() if weight.requires_grad}
    head = {id(weight) for part in head_of(model) for weight in part.parameters()}
    last = {id(weight) for weight in layers_of(backbone_of(model))[-1].parameters()}
    words = id(backbone_of(model).get_input_embeddings().weight)  # type: ignore[operator]
    allowed = {
        "head": lambda name, weight: id(weight) in head,
        "head and the last layer": lambda name, weight: id(weight) in head | last,
        "head and adapters": lambda name, weight: id(weight) in head or "lora_" in name,
        "all but the word vectors": lambda name, weight: id(weight) != words and "pooler" not in name,
    }[expected]
    assert training_task == {name for name, weight in model.named_parameters() if allowed(name, weight)}


@pytest.mark.slow
def test_adapters_are_merged_into_the_checkpoint(tiny_backbone: Path, tmp_path: Path) -> None:
    """The saved weights have the base model's names; those with adapters have other values."""
    bundle = trained_bundle("text-classification", tiny_backbone, tmp_path, trainable="lora", num_train_epochs=2)
    before = load_file(tiny_backbone / "model.safetensors")
    weights = load_file(tmp_path / "run" / "checkpoint" / "model.safetensors")
    after = {name: weight for name, weight in weights.items() if weight.numel()}  # the others stop other tools' heads
    assert after.keys() == before.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "encoder.layer.0.attention.self.query.weight" in changed
    assert "embeddings.word_embeddings.weight" not in changed
    assert Predictor.open(bundle).manifest.verdict.passed


@pytest.mark.slow
def test_a_causal_model_learns_by_adapters_too(tmp_path: Path) -> None:
    """GPT-2 has Conv1D layers instead of linear ones, and gets adapters too."""
    backbone = tiny_generators.make_gpt2(tmp_path / "backbone")
    bundle = trained_bundle("text-generation", backbone, tmp_path, trainable="lora", num_train_epochs=1)
    assert Predictor.open(bundle).manifest.verdict.passed


@pytest.mark.slow
def test_a_generators_wrong_graph_fails(
    task_run: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph with other weights than the checkpoint's fails the proof, and no bundle is written."""
    run = Run(shutil.copytree(task_run("text-generation").root, tmp_path / "run"))
    from export.graphs import convert as graphs

    write = graphs.export_causal

    def shifted(model: Any, path: Path) -> None:
        with torch.no_grad():
            model.get_input_embeddings().weight.mul_(1.05)
        write(model, path)

    monkeypatch.setattr(graphs, "export_causal", shifted)
    with pytest.raises(ProofFailed, match="largest logit difference"):
        export_run(run, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def _texts(inputs: Any) -> list[Any]:
    return [inputs] if isinstance(inputs, str) else list(inputs.values())


def _fits(predictor: Predictor, inputs: Any) -> bool:
    from serving.errors import InputError

    try:
        predictor.check(inputs)
    except InputError:
        return False
    return True
