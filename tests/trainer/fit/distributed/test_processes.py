"""Two processes train as one does: the same rows a step, the same loss, the same weights to rounding."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.sharing import made_once
from tests.tiny_generators import make_gpt2
from tests.toys import write_toy
from tests.trainer.conftest import StopAt, Stopped, fit
from tests.trainer.fit.distributed.launch import accelerate, torchrun, train_in_processes
from trainer.fit.resume import newest_state
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import read_lock
from trainer.run.run import Run

STOP = 8
CLASSES, TAGS, TEXTS = "text-classification", "token-classification", "text-generation"
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": (CLASSES, {}),
    "adapters": (CLASSES, {"trainable": "lora", "lora": {"r": 4, "use_dora": True}, "ema_decay": 0.9, "save_steps": 4}),
    "unfreezing": (
        CLASSES,
        {"gradual_unfreezing": 1, "weight_averaging_epochs": 2, "gradient_checkpointing": True},
    ),
    "soup": (CLASSES, {"weight_soup_runs": 2, "weight_interpolation": True, "num_train_epochs": 1}),
    "probe": (
        CLASSES,
        {"probe_examples_per_label": 4, "lr_scheduler_type": "reduce_lr_on_plateau", "optim": "sgd"},
    ),
    "tags": (TAGS, {"gradient_accumulation_steps": 2}),
    "generation": (TEXTS, {"optim": "sgd"}),
    "sharded": (CLASSES, {"fsdp": True, "gradient_accumulation_steps": 2, "gradient_checkpointing": True}),
    "sharded-adapters": (CLASSES, {"fsdp": True, "trainable": "lora", "lora": {"r": 4}, "weight_interpolation": True}),
    "sharded-generation": (TEXTS, {"fsdp": True, "optim": "sgd", "momentum": 0.9}),
}
"""Task and settings of trainings that are compared, each with options that act between steps or after them.

Where a gradient is zero but for rounding (keys' biases), adafactor makes whole steps of it, as adamw does of GPT-2's.
"""
if find_spec("bitsandbytes"):
    VARIANTS["4 bits"] = (CLASSES, {"trainable": "lora", "lora": {"r": 4, "load_in_4bit": True}})
WITHOUT_DROPOUT = dict.fromkeys(
    ("hidden_dropout_prob", "attention_probs_dropout_prob", "embd_pdrop", "resid_pdrop", "attn_pdrop"), 0.0
)

Train = Callable[[str], Run]


@pytest.fixture(scope="session")
def backbones(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder and a decoder without dropout, whose draws differ from process to process."""

    def make(folder: Path) -> None:
        shutil.copytree(tiny_backbone, folder / "encoder")
        make_gpt2(folder / "decoder")
        for config in folder.glob("*/config.json"):
            config.write_text(json.dumps(json.loads(config.read_text()) | WITHOUT_DROPOUT))

    return made_once(tmp_path_factory, "steady", make)


def recipe_of(folder: Path, backbones: Path, variant: str, batch_size: int, **more: Any) -> Path:
    """Its file, in a folder of its own."""
    task, options = VARIANTS[variant]
    place = folder / f"{variant}-{batch_size}"
    place.mkdir(parents=True, exist_ok=True)
    settings = {"num_train_epochs": 3, "learning_rate": 1e-3, "per_device_train_batch_size": batch_size}
    backbone = backbones / ("decoder" if task == TEXTS else "encoder")
    return write_toy(place, backbone, task, training=settings | options | more)


def stop_one_process(folder: Path, backbones: Path) -> None:
    """In the second epoch; the run is there twice, to go on in two ways."""
    with pytest.raises(Stopped):
        fit(load_recipe(recipe_of(folder, backbones, "plain", 8, save_steps=STOP)), folder / "by-one", StopAt(STOP + 1))
    shutil.copytree(folder / "by-one", folder / "by-one-sharded")


@pytest.fixture(scope="session")
def trained(backbones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what two processes have trained: a run of each variant, two stopped, two resumed."""

    def make(folder: Path) -> None:
        stop_one_process(folder, backbones)

        def job(output: str, variant: str, stop: int | None = None, **more: Any) -> dict[str, Any]:
            recipe = recipe_of(folder / "recipes" / output, backbones, variant, 4, **more)
            return {"recipe": str(recipe), "output": str(folder / output), "stop_at": stop}

        jobs = [job(variant, variant) for variant in VARIANTS]
        jobs += [job("by-two", "plain", STOP), job("by-two-sharded", "plain", STOP, fsdp=True)]
        jobs += [job("by-one", "plain"), job("by-one-sharded", "plain", fsdp=True)]
        train_in_processes(folder, jobs)

    return made_once(tmp_path_factory, "processes", make)


@pytest.fixture(scope="session")
def alone(backbones: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """One process's run of a variant, with as many rows a step."""

    def train_once(variant: str) -> Run:
        def make(folder: Path) -> None:
            fit(load_recipe(recipe_of(folder, backbones, variant, 8, fsdp=False)), folder / "run")

        return Run.open(made_once(tmp_path_factory, f"alone-{variant}", make) / "run")

    return train_once


def assert_equal(found: Run, expected: Run) -> None:
    """To rounding."""
    pairs = [load_file(run.checkpoint / "model.safetensors") for run in (found, expected)]
    assert pairs[0].keys() == pairs[1].keys()
    for name, weight in pairs[0].items():
        torch.testing.assert_close(
            weight, pairs[1][name], rtol=1e-3, atol=2e-4, msg=lambda text, at=name: f"{at} {text}"
        )
    histories = [run.read_record()["history"] for run in (found, expected)]
    for point, other in zip(*histories, strict=True):
        assert point == pytest.approx(other, rel=1e-3, abs=1e-4)


def _numbers(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    return ((name, value) for name, value in record["metrics"]["test"].items() if isinstance(value, float))


@pytest.mark.slow(first=True)
@pytest.mark.parametrize("variant", VARIANTS)
def test_equal_to_one_process(trained: Path, alone: Train, variant: str) -> None:
    """Losses, learning rates, validation and weights, and what was kept of averages."""
    found, expected = Run.open(trained / variant), alone(variant)
    assert_equal(found, expected)
    records = [run.read_record() for run in (found, expected)]
    assert records[0]["best_step"] == records[1]["best_step"]
    scores = [dict(_numbers(record)) for record in records]
    assert scores[0] == pytest.approx(scores[1], rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_what_is_recorded(trained: Path) -> None:
    """The processes, in record and lock; one of them has written, and nothing is left of the training."""
    run = Run.open(trained / "plain")
    assert run.read_record()["processes"] == 2
    assert read_lock(run).environment.hardware["processes"] == 2
    assert not run.state.exists()
    assert not list(run.root.glob("*.lock"))


@pytest.mark.slow
@pytest.mark.parametrize("stopped", ["by-two", "by-two-sharded"])
def test_a_signal_to_one_of_them(trained: Path, backbones: Path, tmp_path: Path, alone: Train, stopped: str) -> None:
    """All stop at the same step, with one message; one process goes on to the same weights."""
    told = [(trained / f"{stopped}.{rank}.txt").read_text(encoding="utf-8") for rank in (0, 1)]
    assert told[0].startswith(f"Interrupted 143 stopped by SIGTERM: the state of step {STOP} is saved")
    assert told[1] == "ToldByAnother 143 process 0 says why"
    shutil.copytree(trained / stopped, tmp_path / "run")
    state = newest_state(tmp_path / "run" / "state")
    assert state
    assert state.step == STOP
    assert {path.name for path in state.folder.glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}
    resumed = fit(load_recipe(recipe_of(tmp_path, backbones, "plain", 8)), tmp_path / "run")
    assert_equal(resumed, alone("plain"))
    changes = read_lock(resumed).resumed
    assert any("processes: 2" in change for change in changes)
    assert any("per_device_train_batch_size: 4" in change for change in changes)


@pytest.mark.slow
@pytest.mark.parametrize("resumed", ["by-one", "by-one-sharded"])
def test_two_go_on_for_one(trained: Path, alone: Train, resumed: str) -> None:
    """A state of one process is also that of two, where a step has as many rows."""
    run = Run.open(trained / resumed)
    assert_equal(run, alone("plain"))
    assert any("processes: null there, 2 now" in change for change in read_lock(run).resumed)


@pytest.mark.slow
def test_weights_are_divided(trained: Path) -> None:
    """Under fsdp each process has half of the weights, of gradients and of moments; without it, all."""

    def counts(variant: str, rank: int) -> dict[str, int]:
        return dict(json.loads((trained / f"{variant}.{rank}.json").read_text(encoding="utf-8")))

    whole = counts("plain", 0)
    assert whole["moments"] == 2 * whole["gradients"]
    for name, count in whole.items():
        divided = [counts("by-one-sharded", rank)[name] for rank in (0, 1)]
        assert max(divided) < 0.6 * count
        assert sum(divided) >= count


@pytest.mark.slow
def test_other_rows_a_step(trained: Path, backbones: Path, tmp_path: Path) -> None:
    """They are refused, with what to change; nothing is touched."""
    shutil.copytree(trained / "by-two", tmp_path / "run")
    with pytest.raises(ValueError, match=r"as many rows a step as it began with .*8 there, 4 now.*change one"):
        fit(load_recipe(recipe_of(tmp_path, backbones, "plain", 4)), tmp_path / "run")
    assert Run(tmp_path / "run").read_record()["processes"] == 2


@pytest.mark.slow
def test_one_process_has_nothing_to_divide(backbones: Path, tmp_path: Path) -> None:
    """The option is refused where it would do nothing."""
    with pytest.raises(ValueError, match=r"training\.fsdp: divides a model among processes, and one was started"):
        fit(load_recipe(recipe_of(tmp_path, backbones, "sharded", 4)), tmp_path / "run")


@pytest.mark.slow(first=True)
def test_the_command(backbones: Path, tmp_path: Path) -> None:
    """It trains and tells everything once; what is refused is told once too, and without a traceback of its own.

    By torchrun and by ``accelerate launch``.
    """
    recipe = str(recipe_of(tmp_path, backbones, "plain", 4))
    command = ["tuneship", "train", recipe, "--output", str(tmp_path / "run")]
    done = torchrun(*command, "--set", "training.num_train_epochs=1")
    assert done.returncode == 0, done.stderr[-5000:]
    assert done.stdout.count("base model") == done.stdout.count("report  ") == 1
    assert "Warning" not in done.stderr
    assert Run.open(tmp_path / "run").read_record()["processes"] == 2
    refused = accelerate(*command, "--set", "data.folds=3")
    assert refused.returncode == 1
    assert refused.stderr.count("data.folds: trains its folds in one process, and 2 were started") == 1
    assert "trainer/train.py" not in refused.stderr
