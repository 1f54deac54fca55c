"""Trainer as corrected: the weights depend on recipe and data, and on nothing else."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from tests.trainer.conftest import MakeRecipe, WholeRun, fit, rows_of, weights
from tests.trainer.fit.small_trainer import learned, trainer_for
from trainer.fit.batches import Examples, LengthBucketSampler, collator
from trainer.fit.trainer import StateNotWritten, TaskTrainer, TrainingDiverged, preserve_randomness
from trainer.model.checkpoint import Checkpoint, load_checkpoint, load_tokenizer
from trainer.model.heads import backbone_of
from trainer.model.inputs import longest_first
from trainer.run.run import Run
from trainer.tasks.base import Example


@pytest.mark.slow
def test_evaluating_more_often(toy: MakeRecipe, tmp_path: Path) -> None:
    """Evaluating every other step gives the last weights that evaluating every epoch gives."""
    last: list[dict[str, torch.Tensor]] = []
    for name, how in (("epoch", {}), ("steps", {"eval_strategy": "steps", "eval_steps": 2})):
        kept = Keep()
        fit(toy(training={"num_train_epochs": 2, **how}), tmp_path / name, kept)
        last.append(kept.weights)
    assert all(torch.equal(last[0][key], last[1][key]) for key in last[0])


class Keep(TrainerCallback):  # type: ignore[misc]
    """Keeps the weights after the last step."""

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Copy them."""
        self.weights = {key: value.clone() for key, value in model.state_dict().items()}


def test_unchanged_randomness() -> None:
    """Python's, numpy's and torch's next numbers are the same with and without what ran inside."""

    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draw()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with preserve_randomness():
        draw()
    assert draw() == expected


@pytest.mark.slow
def test_seed_changes_weights(whole: WholeRun) -> None:
    """Another seed trains other weights on the same rows."""
    runs = [whole(), whole(seed=3)]
    assert weights(runs[0]) != weights(runs[1])
    assert runs[0].read_record()["data"] == runs[1].read_record()["data"]


@pytest.mark.slow
def test_classifier_only(toy: MakeRecipe, tiny_backbone: Path, tmp_path: Path) -> None:
    """With trainable: classifier the backbone's weights are those of the base model, bit for bit."""
    run = fit(
        toy(training={"trainable": "classifier", "head_learning_rate": 0.05, "num_train_epochs": 1}), tmp_path / "run"
    )
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_backbone, run.checkpoint))
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert float(load_file(run.checkpoint / "head.safetensors")["bias"].abs().max()) > 0


def test_frozen_without_dropout(tiny_backbone: Path, tmp_path: Path) -> None:
    """During a training step a frozen backbone is in eval mode, the head in training mode."""
    trainer = trainer_for(tiny_backbone, tmp_path, trainable="classifier")
    modes: list[tuple[bool, bool]] = []

    class Look(TrainerCallback):  # type: ignore[misc]
        def on_pre_optimizer_step(self, *_: Any, model: Any = None, **__: Any) -> None:
            modes.append((any(module.training for module in backbone_of(model).modules()), model.training))

    trainer.add_callback(Look())
    trainer.train()
    assert set(modes) == {(False, True)}
    assert not any(weight.requires_grad for weight in backbone_of(trainer.model).parameters())


@pytest.mark.slow
def test_accumulated_loss(tiny_backbone: Path, tmp_path: Path) -> None:
    """Accumulating three batches gives the gradient of the one batch that they make up."""
    gradients = []
    for batch, steps in ((9, 1), (3, 3)):
        trainer = trainer_for(
            tiny_backbone,
            tmp_path,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=steps,
            num_train_epochs=1,
            max_grad_norm=1e6,
        )
        for part in trainer.model.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        trainer.model.backbone.config.attention_probs_dropout_prob = 0.0
        gradients.append(_first_gradient(trainer))
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)


def _first_gradient(trainer: TaskTrainer) -> torch.Tensor:
    found: list[torch.Tensor] = []

    class Catch(TrainerCallback):  # type: ignore[misc]
        def on_pre_optimizer_step(self, *_: Any, model: Any = None, **__: Any) -> None:
            found.append(model.classifier.weight.grad.clone())

    trainer.add_callback(Catch())
    trainer.train()
    return found[0]


@pytest.mark.slow
def test_diverged(toy: MakeRecipe, tmp_path: Path) -> None:
    """A loss that is not finite stops the run and says what to change."""
    wild = {
        "optim": "sgd",
        "learning_rate": 10.0,
        "warmup_ratio": 0.0,
        "max_grad_norm": 1e6,
        "num_train_epochs": 50,
    }
    with pytest.raises(TrainingDiverged, match=r"the loss is (nan|inf) at step \d+; lower training\.learning_rate"):
        fit(toy(training={**wild, "momentum": 0.99, "head_learning_rate": 10.0}), tmp_path / "run")


@pytest.mark.parametrize(("limit", "expected"), [(2, {1, 4}), (3, {1, 3, 4})])
def test_states_on_disk(tiny_backbone: Path, tmp_path: Path, limit: int, expected: set[int]) -> None:
    """So many states are kept, the best among them: the first here, as no later one is better."""
    options = {"save_total_limit": limit, "max_steps": 4, "learning_rate": 1e-9, "head_learning_rate": 1e-9}
    trainer = trainer_for(tiny_backbone, tmp_path, load_best_model_at_end=False, **options)
    trainer.train()
    assert {int(path.name.rpartition("-")[2]) for path in tmp_path.glob("checkpoint-*")} == expected


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"gradient_checkpointing": True}, {"bf16": True}])
def test_options(toy: MakeRecipe, tmp_path: Path, options: dict[str, Any]) -> None:
    """Gradient checkpointing and bfloat16 train through to a finished run."""
    run = fit(toy(training={"num_train_epochs": 1, **options}), tmp_path / "run")
    assert Run.open(run.root).read_record()["history"]


def test_bucket_order() -> None:
    """The batch order covers every row once, depends on seed and epoch only, and keeps lengths together."""
    lengths = torch.randint(3, 60, (1000,), generator=torch.Generator().manual_seed(0)).tolist()
    sampler = LengthBucketSampler(lengths, 32, seed=1)
    first = list(sampler)
    assert sorted(first) == list(range(1000))
    torch.manual_seed(99)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(LengthBucketSampler(lengths, 32, seed=2)) != first
    spans = [max(batch) - min(batch) for batch in _batches([lengths[at] for at in first], 32)]
    assert sum(spans) / len(spans) < 5


def _batches(values: list[int], size: int) -> list[list[int]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


@pytest.mark.slow
def test_order_without_accelerate(toy: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch order changes from epoch to epoch even where Accelerate's wrappers do not pass the epoch on."""
    monkeypatch.setattr("accelerate.data_loader.DataLoaderShard.set_epoch", lambda *_: None)
    seen: list[int] = []
    original = LengthBucketSampler.__iter__

    def watched(sampler: LengthBucketSampler) -> Any:
        seen.append(sampler.epoch)
        return original(sampler)

    monkeypatch.setattr(LengthBucketSampler, "__iter__", watched)
    fit(toy(), tmp_path / "run")
    assert seen[1:] == [0, 1, 2]  # the first is of the timed steps before the training


def test_longest_first() -> None:
    """Evaluation begins with the longest text, a batch at a time, and leaves none out."""
    assert list(longest_first([3, 9, 5], 2)) == [[1, 2], [0]]


def test_encoding(tiny_backbone: Path) -> None:
    """Texts are cut at the tokenizer's length, the share of cut ones is known, and a batch is padded to its longest."""
    found, task = learned()
    tokenizer = load_tokenizer(tiny_backbone, 10)
    encoded = Examples(
        found, task, tokenizer, rows_of(("refund " * 30, "a"), ("refund", "b"), ("track", "c"), ("stop", "a"))
    )
    assert list(encoded.lengths()) == [10, 3, 3, 3]
    assert encoded.truncated == 0.25
    batch = collator(tokenizer, found)([encoded[0], encoded[1]])
    assert batch["input_ids"].shape == (2, 10)
    assert batch["attention_mask"].sum(dim=1).tolist() == [10, 3]
    assert batch["labels"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("side", "expected"), [("right", [[1, 2, 3], [4, -100, -100]]), ("left", [[1, 2, 3], [-100, -100, 4]])]
)
def test_token_labels_are_padded_as_the_tokens_are(tiny_backbone: Path, side: str, expected: list[list[int]]) -> None:
    """Labels are padded on the tokenizer's side, by the number that losses ignore."""
    tokenizer = load_tokenizer(tiny_backbone)
    tokenizer.padding_side = side
    windows = [tokenizer(text, add_special_tokens=False).encodings[0] for text in ("stop order 17", "stop")]
    batch = collator(tokenizer, learned()[0])([Example((windows[0],), [1, 2, 3]), Example((windows[1],), [4])])
    assert batch["labels"].tolist() == expected
    assert (batch["labels"].ne(-100) == batch["attention_mask"].bool()).all()


def test_checkpoint_type(tiny_run: Run) -> None:
    """A loaded checkpoint is in eval mode and fp32."""
    checkpoint: Checkpoint = load_checkpoint(tiny_run.checkpoint)
    assert not checkpoint.model.training
    assert {weight.dtype for weight in checkpoint.model.parameters()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.parametrize("said", ["[enforce fail at inline_container.cc:672]", "basic_ios::clear: iostream error"])
def test_unwritable_state(toy: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """Torch's words about a full disk become a message, and the training goes on later."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(said)

    recipe = toy(training={"num_train_epochs": 1})
    with monkeypatch.context() as patch:
        patch.setattr("transformers.trainer.Trainer._save_checkpoint", fail)
        with pytest.raises(StateNotWritten, match="make room there"):
            fit(recipe, tmp_path / "run")
    assert fit(recipe, tmp_path / "run").status() == "finished"
