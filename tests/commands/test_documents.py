"""Every verb's ``--json``: one document on stdout, with the keys that docs/cli.md names."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.measurement.process import free_port
from serving.bundle.bundle import Bundle
from tests import tiny
from tests.deploy.measured import measurement_of
from tests.deploy.plan.conftest import IMAGE
from tests.keys import make_keys
from tests.paths import ROOT
from tests.serving.processes import environment
from tests.test_cli import tuneship_here
from tests.trained_elsewhere import make_checkpoint
from tuneship import ROAD

ROW = re.compile(r"^\| `(?P<verb>[^`]+)` \| (?P<keys>.*) \|$", re.MULTILINE)


def documented() -> dict[str, list[str]]:
    """By verb, the keys of the table in docs/cli.md."""
    page = (ROOT / "docs" / "cli.md").read_text().partition("## JSON documents")[2]
    return {found["verb"]: re.findall(r"`(\w+)`", found["keys"]) for found in ROW.finditer(page)}


def document_of(verb: str, *arguments: object, status: int = 0) -> dict[str, Any]:
    """What stdout has, which is JSON and nothing else; its keys are the documented ones."""
    result = tuneship_here(*verb.split(), *arguments, "--json")
    assert result.returncode == status, result.stderr
    return require_keys(verb, result.stdout)


def require_keys(verb: str, text: str) -> dict[str, Any]:
    """The document, in which no documented key is missing."""
    found: dict[str, Any] = json.loads(text)
    assert set(documented()[verb]) <= found.keys(), sorted(found)
    return found


def test_every_verb_is_documented() -> None:
    """The table has a row for each."""
    verbs = {verb.__name__.rstrip("_") for group in ROAD.values() for verb in group}
    assert verbs | {"deploy measure", "deploy plan", "deploy image"} <= documented().keys()


@pytest.mark.slow
def test_of_a_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    """Looking at one, checking it, asking it, signing and moving it."""
    (tmp_path / "in.jsonl").write_text('{"inputs": "where is my parcel?"}\n')
    copy, keys = shutil.copytree(tiny_bundle, tmp_path / "bundle"), make_keys(tmp_path / "keys")
    digest = Bundle.open(copy).digest
    assert document_of("show", copy)["sha256"] == digest
    assert document_of("verify", copy)["findings"][0]["verdict"] == "holds"
    assert document_of("card", copy)["card"].startswith("---\n")
    assert document_of("explain", copy, "please cancel order 17")["target"]["label"] == "cancel"
    files = ("--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    assert document_of("predict", copy, *files)["answered"] == 1
    assert document_of("sign", copy, "--key", keys.private)["signature"] == str(copy / "model.sig")
    place = f"file://{tmp_path}/place"
    assert document_of("push", copy, place)["target"] == f"{place}#sha256={digest}"
    assert document_of("pull", place, "--output", tmp_path / "pulled")["sha256"] == digest


@pytest.mark.slow
def test_of_a_deployment(tiny_bundle: Path, tmp_path: Path) -> None:
    """The plan's figures."""
    path = tmp_path / "measurement.json"
    path.write_text(measurement_of(Bundle.open(tiny_bundle).digest).to_json())
    options = ("--image", IMAGE, "--measurement", path, "--output", tmp_path / "plan")
    assert document_of("deploy plan", "helm", tiny_bundle, *options)["folder"] == str(tmp_path / "plan")


def test_of_a_project(tmp_path: Path) -> None:
    """Where it is."""
    assert document_of("new", tmp_path / "support")["folder"] == str(tmp_path / "support")


def test_refused_rows_are_a_failure_with_a_document(tiny_bundle: Path, tmp_path: Path) -> None:
    """The counts are there beside the reason."""
    (tmp_path / "in.jsonl").write_text('{"inputs": ""}\n')
    files = ("--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    found = document_of("predict", tiny_bundle, *files, status=1)
    assert found["refused"] == 1
    assert found["failed"].startswith("row 1: ")


def test_an_error_is_a_document(tmp_path: Path) -> None:
    """Its kind and its message, as on stderr."""
    result = tuneship_here("verify", tmp_path / "none", "--json")
    assert result.returncode == 1
    error = json.loads(result.stdout)["error"]
    assert error["type"] == "BundleError"
    assert error["message"] in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("train", "--ouput", "x"), ("trian",), ("export", "s3://a/b", "-o", "c")])
def test_an_error_before_the_verb_is_a_document(arguments: tuple[str, ...]) -> None:
    """A wrong command line, too."""
    command = [sys.executable, "-m", "tuneship", *arguments, "--json"]
    result = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode in (1, 2)
    assert json.loads(result.stdout)["error"]["message"]


@pytest.mark.slow
def test_of_a_run(tiny_backbone: Path, tmp_path: Path) -> None:
    """From a recipe to its bundle; words go to stderr."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone, training={"num_train_epochs": 3})
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    assert document_of("train --forecast", recipe, "--output", run)["forecast"]["steps"] > 0
    assert document_of("train", recipe, "--output", run)["metrics"]["test"]["rows"] == 18
    assert document_of("replay", run)["equal"] is True
    assert document_of("privacy", run)["membership"]
    assert document_of("export", run, "--output", bundle)["proofs"][0]["passed"] is True
    compared = document_of("compare", run, bundle, bundle, "--max-metric-drop", 0.5)
    assert (compared["passed"], compared["lost"]) == (True, 0)
    found = document_of("diff", run, bundle)
    assert found["test"]["beyond_chance"] is False
    assert document_of("export --layout hub", run, "--output", tmp_path / "hub")["proofs"]


@pytest.mark.slow
def test_of_the_first_minutes(tmp_path: Path) -> None:
    """What the data are, and what this machine is."""
    rows = tiny.write_csv(tmp_path / "rows.csv", tiny.toy_rows())
    result = tuneship_here("init", rows, "--output", tmp_path / "recipe.yaml", "--json")
    assert require_keys("init", result.stdout)["recipe"] == str(tmp_path / "recipe.yaml")
    result = tuneship_here("doctor", "--json")
    assert require_keys("doctor", result.stdout)["findings"]


@pytest.mark.slow
def test_before_a_run(tiny_backbone: Path, tmp_path: Path) -> None:
    """Checks, the ladder, a search."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone, training={"num_train_epochs": 3})
    assert document_of("check", recipe)["rows"]["test"] == 18
    assert document_of("baseline", recipe, "--rungs", "majority")["rungs"][0]["rung"] == "majority"
    limits = ("--trials", 1, "--minutes", 2, "--no-learning-curve")
    found = document_of("tune", recipe, "--output", tmp_path / "study", *limits)
    assert found["trials"][0]["state"] == "ended"


@pytest.mark.slow
def test_of_an_import(tiny_backbone: Path, tmp_path: Path) -> None:
    """As of a training."""
    rows = tiny.write_csv(tmp_path / "rows.csv", tiny.toy_rows())
    checkpoint = make_checkpoint(tiny_backbone, tmp_path / "model", "sequence", tiny.LABELS)
    found = tuneship_here("import", checkpoint, "--rows", rows, "--output", tmp_path / "run", "--json")
    assert found.returncode == 0, found.stderr
    assert set(documented()["train"]) <= json.loads(found.stdout).keys()


@pytest.fixture
def server(tiny_bundle: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server that was started with --json."""
    port = free_port()
    command = [sys.executable, "-m", "tuneship", "serve", str(tiny_bundle), "--port", str(port), "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process, port
        process.kill()


@pytest.mark.slow
def test_of_a_server(server: tuple[subprocess.Popen[str], int], tiny_bundle: Path) -> None:
    """It comes when the models are loaded, and nothing comes after it."""
    process, port = server
    assert process.stdout is not None
    text = ""
    while "}\n" not in text or text.count("{") != text.count("}"):
        line = process.stdout.readline()
        assert line, text
        text += line
    found = require_keys("serve", text)
    assert found["url"] == f"http://127.0.0.1:{port}"
    assert found["models"][0]["sha256"] == Bundle.open(tiny_bundle).digest
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert (rest, process.returncode) == ("", 0)


@pytest.mark.slow
def test_of_a_measurement(tiny_bundle: Path, tmp_path: Path) -> None:
    """The file's figures."""
    path = tmp_path / "measured.json"
    found = document_of("deploy measure", tiny_bundle, "--output", path, "--seconds", 2)
    assert found["variant"] == json.loads(path.read_text())["variant"]
