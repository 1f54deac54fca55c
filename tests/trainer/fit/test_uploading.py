"""A training whose machine vanishes goes on at another one, from what an object store has, to the same weights."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import fsspec
import matplotlib.pyplot as plt
import pytest
import torch
from rich.console import Console
from transformers import TrainerCallback

from serving.errors import InputError, Interrupted
from stores.errors import StoreError
from stores.runs.finished import pull_any
from stores.runs.states import OBJECTS, open_place
from stores.targets import parse_target
from tests.paths import ROOT
from tests.tiny import write_recipe
from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, WholeRun, weights
from tests.trainer.fit.test_stopping import STEPS_AN_EPOCH, SignalAt
from trainer.fit.resume import StateNotRead
from trainer.fit.stopping import StopOnSignal
from trainer.recipe.recipe import Recipe
from trainer.run.mirror import NotKept
from trainer.run.run import Run
from trainer.train import train

HERE = "memory://states/one"

pytestmark = pytest.mark.usefixtures("memory")


def fit(
    recipe: Recipe, output: Path, *callbacks: TrainerCallback, url: str = HERE, overwrite: bool = False
) -> tuple[Run, str]:
    """Train with states at ``url``, without figures; the run, and what was told."""
    told = io.StringIO()
    with mock.patch("trainer.run.report.figures._save", lambda figure, path: plt.close(figure)):
        run = train(
            recipe,
            output,
            console=Console(file=told, width=1000),
            callbacks=callbacks,
            place=open_place(url),
            overwrite=overwrite,
        )
    return run, told.getvalue()


def break_off(recipe: Recipe, output: Path, step: int) -> None:
    """A training that dies at this step, whose machine is gone then."""
    with pytest.raises(Stopped):
        fit(recipe, output, StopAt(step))
    shutil.rmtree(output)


@contextmanager
def unreachable(times: int = 10**6) -> Iterator[list[str]]:
    """So many uploads to the memory's place fail; gives the paths that were tried."""
    kind = type(fsspec.filesystem("memory"))
    tried, put_file = list[str](), kind.put_file

    def fail(files: Any, source: str, path: str) -> None:
        tried.append(path)
        if len(tried) <= times:
            raise ConnectionResetError("gone")
        put_file(files, source, path)

    with mock.patch.object(kind, "put_file", fail):
        yield tried


class FailFrom(TrainerCallback):  # type: ignore[misc]
    """The place is not there from a step on, for so many uploads."""

    def __init__(self, step: int, times: int = 10**6) -> None:
        self.step, self.place = step, unreachable(times)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            self.place.__enter__()


@pytest.mark.slow
def test_a_new_machine_goes_on(toy: MakeRecipe, whole: WholeRun, tmp_path: Path) -> None:
    """From the state of a signal, which is up before the process ends; the finished run takes the states' place."""
    recipe = toy(training={"save_steps": 4})
    with StopOnSignal(Console(file=io.StringIO())).handle() as stop, pytest.raises(Interrupted):
        fit(recipe, tmp_path / "one", SignalAt(STEPS_AN_EPOCH + 3, signal.SIGTERM), stop)
    shutil.rmtree(tmp_path / "one")
    resumed, told = fit(recipe, tmp_path / "two")
    assert "going on with state " in told
    assert f"resuming from step {STEPS_AN_EPOCH + 3}" in told
    assert weights(resumed) == weights(whole())
    assert (
        resumed.read_record()["history"][-1]["validation_accuracy"]
        == (whole().read_record()["history"][-1]["validation_accuracy"])
    )
    assert not [path for path in fsspec.filesystem("memory").find("/states/one") if "/states/one/states/" in path]
    pull_any(parse_target(HERE), tmp_path / "pulled")
    assert weights(Run.open(tmp_path / "pulled")) == weights(whole())
    third, told = fit(recipe, tmp_path / "three")
    assert "going on with the finished run of memory://states/one" in told
    assert "nothing to do" in told
    assert weights(third) == weights(whole())


@pytest.mark.slow
def test_every_kind_of_state_goes_on(toy: MakeRecipe, tmp_path: Path) -> None:
    """Folds and members of a soup that are finished, and what trackers keep in the run's folder."""
    settings: dict[str, Any] = {"weight_soup_runs": 2, "num_train_epochs": 2, "report_to": ["tensorboard"]}
    recipe = toy(data={"folds": 2}, training=settings)
    straight, _ = fit(recipe, tmp_path / "straight", url="memory://states/straight")
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "one", StopInMember(2))
    shutil.rmtree(tmp_path / "one")
    resumed, told = fit(recipe, tmp_path / "two")
    assert f"resuming from step {STEPS_AN_EPOCH}\n" in told
    assert told.count("training with seed") == 1  # the other member is there
    assert weights(resumed) == weights(straight)
    assert list((resumed.root / "tracking" / "tensorboard").iterdir())


class StopInMember(TrainerCallback):  # type: ignore[misc]
    """Dies in the middle of the soup's member of this number, folds not counted."""

    def __init__(self, member: int) -> None:
        self.member, self.begun = member, 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.begun += "soup" in args.output_dir and "folds" not in args.output_dir

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.begun == self.member and "folds" not in args.output_dir and state.global_step == STEPS_AN_EPOCH + 1:
            raise Stopped


@pytest.mark.slow
def test_a_state_that_is_not_whole_is_passed_over(toy: MakeRecipe, whole: WholeRun, tmp_path: Path) -> None:
    """The one before is taken, with a warning; where none is whole, nothing is trained anew in silence."""
    break_off(toy(), tmp_path / "one", 2 * STEPS_AN_EPOCH + 1)
    files = fsspec.filesystem("memory")
    newest, before = (json.loads(files.cat_file(f"/states/one/states/0000000{n}.json"))["files"] for n in (2, 1))
    old = {entry["sha256"] for entry in before.values()}
    fresh = next(
        entry["sha256"] for name, entry in newest.items() if "optimizer" in name and entry["sha256"] not in old
    )
    files.pipe_file(f"/states/one/states/{OBJECTS}/{fresh}", b"half")
    resumed, told = fit(toy(), tmp_path / "two")
    assert "warning state 2 cannot be used" in told
    assert f"resuming from step {STEPS_AN_EPOCH}\n" in told
    assert weights(resumed) == weights(whole())


@pytest.mark.slow
def test_another_recipe_or_other_data_is_refused(toy: MakeRecipe, tmp_path: Path) -> None:
    """Before anything is downloaded or trained; ``overwrite`` replaces what is there."""
    break_off(toy(), tmp_path / "one", STEPS_AN_EPOCH + 1)
    other = toy(training={"learning_rate": 1e-3})
    words = r"memory://states/one: holds a run of another recipe or other data \(training\.learning_rate.*--state-to"
    with pytest.raises(InputError, match=words):
        fit(other, tmp_path / "two")
    assert not (tmp_path / "two").exists()
    run, told = fit(other, tmp_path / "two", overwrite=True)
    assert "going on" not in told
    with pytest.raises(InputError, match=words):
        fit(toy(), tmp_path / "three")
    pull_any(parse_target(HERE), tmp_path / "pulled")
    assert weights(Run.open(tmp_path / "pulled")) == weights(run)


@pytest.mark.slow
def test_a_place_that_fails_stops_no_training(toy: MakeRecipe, whole: WholeRun, tmp_path: Path) -> None:
    """Each state that is not uploaded is a warning; one that fails once is there with the next."""
    run, told = fit(toy(), tmp_path / "one", FailFrom(1, times=1))
    assert told.count("warning a state was not uploaded: memory://states/one/states: cannot be reached") == 1
    assert weights(run) == weights(whole())
    assert "kept at memory://states/one" in told


@pytest.mark.slow
def test_at_the_end_it_is_an_error(toy: MakeRecipe, tmp_path: Path) -> None:
    """Which says where the finished run is; the command, once repeated, uploads it."""
    failing = FailFrom(1)
    try:
        with pytest.raises(NotKept, match=rf"finished run is on this machine only, in {tmp_path / 'one'}: repeat"):
            fit(toy(), tmp_path / "one", failing)
    finally:
        failing.place.__exit__(None, None, None)
    assert Run(tmp_path / "one").status() == "finished"
    _, told = fit(toy(), tmp_path / "one")
    assert "nothing to do" in told
    pull_any(parse_target(HERE), tmp_path / "pulled")
    assert Run.open(tmp_path / "pulled")


def test_a_place_that_cannot_be_written_is_told_before_the_first_step(toy: MakeRecipe, tmp_path: Path) -> None:
    """Nothing is left behind, and nothing is trained that could not be kept."""
    with unreachable(), pytest.raises(StoreError, match="cannot be reached"):
        fit(toy(), tmp_path / "one")
    assert not (tmp_path / "one").exists()


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"])
def test_a_hostile_pickle_does_not_run(toy: MakeRecipe, tmp_path: Path, name: str) -> None:
    """Whoever writes to the bucket can give a state any content and its digest; it is read as weights only."""
    break_off(toy(), tmp_path / "one", STEPS_AN_EPOCH + 1)
    written = tmp_path / "written"
    replace_there(tmp_path / "state", name, hostile(tmp_path, Payload(written)))
    if name == "training_args.bin":  # which is never read
        fit(toy(), tmp_path / "two")
    else:
        with pytest.raises(StateNotRead, match="holds more than tensors and is not loaded"):
            fit(toy(), tmp_path / "two")
    assert not written.exists()


def hostile(folder: Path, payload: Payload) -> bytes:
    """As torch writes it; it does harm where it is unpickled."""
    torch.save(payload, folder / "hostile")
    torch.load(folder / "hostile", weights_only=False)
    assert payload.path.exists()
    payload.path.unlink()
    assert pickle.dumps(payload)
    return (folder / "hostile").read_bytes()


def replace_there(folder: Path, name: str, content: bytes) -> None:
    """A new state at HERE, with this content for each file of the name."""
    place = open_place(HERE)
    kept = place.kept()[0]
    folder.mkdir()
    kept.fetch(kept.files(), folder)
    for path in folder.rglob(name):
        path.write_bytes(content)
    place.save(folder)


@pytest.mark.slow
def test_a_hostile_state_makes_no_object(toy: MakeRecipe, whole: WholeRun, tmp_path: Path) -> None:
    """transformers makes anew any callback that a state names: one that writes where a stranger says, for example."""
    recipe = toy(training={"weight_averaging_epochs": 2})
    break_off(recipe, tmp_path / "one", STEPS_AN_EPOCH + 1)
    place = open_place(HERE)
    files = place.kept()[0].files()
    name = next(name for name in files if name.endswith("trainer_state.json"))
    state = json.loads(fsspec.filesystem("memory").cat_file(f"/states/one/states/{OBJECTS}/{files[name].sha256}"))
    elsewhere = str(tmp_path / "elsewhere")
    state["stateful_callbacks"]["EpochWeights"] = {"args": {"state": elsewhere, "count": 3, "epochs": 3}}
    replace_there(tmp_path / "state", "trainer_state.json", json.dumps(state).encode())
    fit(recipe, tmp_path / "two")
    assert not Path(elsewhere).exists()


@pytest.mark.slow
def test_a_process_that_is_told_to_stop(tiny_backbone: Path, tmp_path: Path, s3: str) -> None:
    """SIGTERM, an empty disk, the same command: the weights of a training that was never stopped."""
    recipe = write_recipe(tmp_path, tiny_backbone, training={"num_train_epochs": 60})
    straight = run_command(recipe, tmp_path / "straight")
    assert "resuming" not in straight.stdout
    for number, url in enumerate([f"{s3}/runs/one", f"file://{tmp_path}/bucket/one"]):
        output = tmp_path / str(number)
        process = subprocess.Popen(
            command(recipe, output, url), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_for(lambda url=url: bool(open_place(url).kept()), process)  # type: ignore[misc]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 128 + signal.SIGTERM, out + err
        step = err.split("the state of step ")[1].split()[0]
        shutil.rmtree(output)
        resumed = run_command(recipe, output, url)
        assert f"resuming from step {step}\n" in resumed.stdout
        assert weights(Run.open(output)) == weights(Run.open(tmp_path / "straight"))
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in out + err + resumed.stdout + resumed.stderr


def command(recipe: Path, output: Path, url: str | None = None) -> list[str]:
    states = ["--state-to", url] if url else []
    return [sys.executable, "-m", "tuneship", "train", str(recipe), "--output", str(output), *states]


def run_command(recipe: Path, output: Path, url: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(recipe, output, url), cwd=ROOT, capture_output=True, text=True, check=True)


def wait_for(is_there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until a process has done something; it must go on meanwhile."""
    deadline = time.monotonic() + 300
    while not is_there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)
