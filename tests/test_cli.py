"""The command line as users see it: exit status, output, and no traceback for a user's mistake."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from commands.terminal import readable_errors
from serving import VERSION
from tests import tiny
from tests.paths import ROOT
from trainer.run.run import Run
from tuneship import ROAD, app

SCIENTIFIC = "training.learning_rate=1e-4"
"""YAML 1.1 would read it as a text; it differs from the recipe's value."""


def tuneship(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, in a terminal of 80 columns."""
    return subprocess.run(
        [sys.executable, "-m", "tuneship", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "COLUMNS": "80", "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def tuneship_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same in this process, where the libraries are loaded already."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            with readable_errors():
                app([str(argument) for argument in arguments])
        except SystemExit as exit_:
            status = int(exit_.code or 0)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def assert_refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command failed with a message that has these words, without a traceback."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.slow
def test_the_whole_road(tiny_backbone: Path, tmp_path: Path) -> None:
    """A user trains, exports, verifies and predicts with four commands."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone)
    run, bundle, answers = tmp_path / "run", tmp_path / "bundle", tmp_path / "out.jsonl"
    (tmp_path / "in.jsonl").write_text('{"inputs": "where is my parcel?"}\n{"inputs": "refund order 17", "id": 7}\n')
    for arguments in (
        ("train", recipe, "--output", run, "--set", "training.num_train_epochs=2", "--set", SCIENTIFIC),
        ("export", run, "--output", bundle),
        ("verify", bundle),
        ("predict", bundle, "--input", tmp_path / "in.jsonl", "--output", answers),
    ):
        run_command = tuneship_here if arguments[0] in ("train", "export") else tuneship
        result = run_command(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        wide = [line for line in result.stdout.splitlines() if len(line) > 80]
        paths = (str(tmp_path), tiny_backbone.name, "sha256")
        assert all(any(path in line for path in paths) for line in wide), "a table is wider than the terminal"
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [row["inputs"] for row in rows] == ["where is my parcel?", "refund order 17"]
    assert rows[1]["id"] == 7
    assert {"label", "score"} == rows[0]["outputs"][0].keys()
    assert Run(run).read_record()["recipe"]["training"]["learning_rate"] == 1e-4


def test_an_unknown_key_is_named(tiny_backbone: Path, tmp_path: Path) -> None:
    """An unknown key in a recipe is an error that names the nearest known key."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone, training={"learning_rat": 0.1})
    result = tuneship_here("train", recipe, "--output", tmp_path / "run")
    assert_refused(result, "training.learning_rat", "learning_rate")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "nowhere.yaml", "--output", "{tmp}/run"), ["nowhere.yaml"]),
        (("export", "{tmp}/nothing", "--output", "{tmp}/bundle"), ["nothing", "tuneship train"]),
        (("verify", "{tmp}"), ["is not a bundle", "tuneship export"]),
        (("verify", "{tmp}/absent"), ["there is no folder", "absent", "tuneship export"]),
        (("predict", "{tmp}", "--input", "a", "--output", "b"), ["is not a bundle"]),
        (("serve", "{tmp}", "--port", "0"), []),
    ],
)
def test_a_wrong_path_is_an_error_message(arguments: tuple[str, ...], words: list[str], tmp_path: Path) -> None:
    """Each command says what it did not find and how to make it."""
    result = tuneship_here(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert result.returncode in (1, 2)
    assert "Traceback" not in result.stderr
    assert all(word in result.stderr for word in words)


def test_a_replay_reports_differences(tiny_run: Run) -> None:
    """Each difference from the lock is printed, and the exit status is 1."""
    original = tiny_run.root.parent
    home = shutil.copytree(original, original.with_name("replayed"))  # as deep: the base model's path is relative
    result = tuneship_here("replay", home / "run", "--set", "training.seed=7")
    assert result.returncode == 1
    assert "✗ recipe: training.seed: 0 in the lock, 7 now" in result.stdout
    assert "✓ data: as locked" in result.stdout
    assert "not repeated" in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads((home / "run" / "replay.json").read_text())["equal"] is False


def test_an_altered_bundle_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    """`verify` names the file that was altered and exits with 1."""
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    data = bytearray((bundle / "tokenizer.json").read_bytes())
    data[100] ^= 1
    (bundle / "tokenizer.json").write_bytes(data)
    assert_refused(tuneship_here("verify", bundle), "tokenizer.json was altered")


def test_a_file_with_bad_lines_loses_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    """Every line has an answer or an error; the exit status is 1 if some were refused."""
    (tmp_path / "in.jsonl").write_bytes(b'{"inputs": "track it"}\nnonsense\n{"inputs": ""}\n{"inputs": "stop it"}\n')
    result = tuneship_here("predict", tiny_bundle, "--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert result.returncode == 1
    assert "2 answered, 2 refused" in result.stdout
    assert "row 2" in result.stderr
    assert ["outputs" in row for row in rows] == [True, False, False, True]


@pytest.mark.slow
def test_explain_colours_words(tiny_bundle: Path) -> None:
    """`tuneship explain` prints the label, the text and the strongest words with their scores, in 80 columns."""
    result = tuneship("explain", tiny_bundle, "please cancel order 17", FORCE_COLOR="1")
    plain = re.sub("\\x1b\\[[0-9;]*m", "", result.stdout)
    assert result.returncode == 0, result.stderr
    assert plain.startswith("cancel  logit")
    assert re.search(r"^cancel  +\+\d\.\d{3}  ━+$", plain, re.MULTILINE)
    assert "\x1b[1;7;32mcancel" in result.stdout
    assert max(map(len, plain.splitlines())) <= 80
    assert_refused(tuneship_here("explain", tiny_bundle, "a", "b"), "takes one text; there were two")
    unknown = tuneship_here("explain", tiny_bundle, "a", "--method", "lime")
    assert_refused(unknown, "parameters.method", "'occlusion' or 'shap'")


def test_help_lists_every_command() -> None:
    """`tuneship --help` has a whole line for each command, below the heading of its group."""
    text = tuneship("--help").stdout
    headings = re.findall(r"^(\w[^:\n]*):$", text, re.MULTILINE)
    assert headings == ["Options", *ROAD]
    commands = text.partition(f"{next(iter(ROAD))}:")[2]
    listed = re.findall(r"^  (\w+) +\S.*\.$", commands, re.MULTILINE)
    verbs = [verb.__name__.rstrip("_") for group in ROAD.values() for verb in group]
    assert listed == [*verbs, *(group.name for group in app.registered_groups)]
    assert "..." not in commands


@pytest.mark.slow
def test_all_help_fits_80_columns_and_has_examples() -> None:
    """Each verb teaches with examples, whose command, options and arguments exist."""
    root = get_command(app)
    for names, command in commands_below(root):
        text = tuneship_here(*names, "--help").stdout
        assert max(map(len, text.splitlines())) <= 80, names
        if hasattr(command, "commands"):
            continue
        examples = re.sub(r"\\\n\s*", "", text.partition("Examples:\n")[2]).splitlines()
        assert examples, f"{names} has no example"
        for example in examples:
            program, *words = shlex.split(example)
            assert program == "tuneship"
            assert words[: len(names)] == names
            command.make_context(names[-1], words[len(names) :])  # raises for what is unknown or missing


def commands_below(command: Any, names: Sequence[str] = ()) -> Iterator[tuple[list[str], Any]]:
    """The command and all below it, by their names."""
    yield list(names), command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands_below(below, [*names, name])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("trian", "recipe.yaml"), "'train'"),
        (("train", "--ouput", "x"), "--output"),
        (("deploy", "plna"), "'plan'"),
    ],
)
def test_a_wrong_word_of_the_command_line(arguments: tuple[str, ...], words: str) -> None:
    """The nearest verb or option is told, and the status is 2."""
    result = tuneship_here(*arguments)
    assert result.returncode == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("train", "recipe.yml", "-o", "run"), "did you mean recipe.yaml?"),
        (
            ("train", "recipe.yaml", "-o", "run", "--set", "task=text-clasification"),
            "did you mean text-classification?",
        ),
        (("train", "recipe.yaml", "-o", "run", "--set", "training.learing_rate=1"), "did you mean learning_rate?"),
        (("new", "support", "--task", "text-clasification"), "did you mean text-classification?"),
        (("check", "recipe.yaml", "--fail-on", "leeks"), "did you mean leaks?"),
        (("tune", "recipe.yaml", "-o", "study", "--pruner", "medain"), "did you mean median?"),
        (("baseline", "recipe.yaml", "--rungs", "tfidf"), "did you mean tf-idf?"),
        (("export", "recipe.yaml", "-o", "b", "--layout", "hup"), "did you mean hub?"),
        (("verify", "recipe"), "did you mean recipe.yaml?"),
        (("show", "recip.yaml"), "did you mean recipe.yaml?"),
        (("pull", "hff:team/one", "-o", "b"), "did you mean hf?"),
        (("predict", "b", "-i", "a", "-o", "b", "--engine", "rya"), "did you mean ray?"),
    ],
)
def test_the_nearest_right_name(
    arguments: tuple[str, ...], hint: str, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of recipe keys, values, options' words, targets and paths."""
    tiny.write_recipe(tmp_path, tiny_backbone)
    monkeypatch.chdir(tmp_path)
    assert_refused(tuneship_here(*arguments), hint)


@pytest.mark.slow
def test_the_version() -> None:
    """`--version` prints it; with --json the packages' too, from a process that has loaded none of them."""
    assert tuneship("--version").stdout == f"tuneship {VERSION}\n"
    found = json.loads(tuneship("--version", "--json").stdout)
    assert found["tuneship"] == VERSION
    assert found["packages"]["onnxruntime"]


def test_no_command() -> None:
    """An option alone is no command."""
    result = tuneship("--quiet")
    assert result.returncode == 2
    assert "Missing command" in result.stderr


@pytest.mark.slow
def test_serving_verbs_never_load_torch(tiny_bundle: Path) -> None:
    """`tuneship verify` runs without torch and transformers in the process."""
    script = (
        "import sys; sys.argv[1:] = ['verify', sys.argv[1]]\n"
        "import tuneship\n"
        "try:\n    tuneship.main()\nexcept SystemExit: pass\n"
        "loaded = {'torch', 'transformers', 'bentoml'} & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tiny_bundle)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
