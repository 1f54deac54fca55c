"""`tuneship deploy` as users see it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deploy.measurement.measurement import Measurement
from export.sign import sign_with_key
from serving.bundle.bundle import Bundle
from tests.deploy.measured import measurement_of
from tests.deploy.plan.conftest import IMAGE
from tests.keys import make_keys
from tests.test_cli import assert_refused, tuneship_here


@pytest.fixture
def measured(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A measurement's file."""
    path = tmp_path / "measurement.json"
    path.write_text(measurement_of(Bundle.open(tiny_bundle).digest).to_json())
    return path


@pytest.mark.slow
def test_measured_and_planned(tiny_bundle: Path, tmp_path: Path) -> None:
    """The two commands after one another; the folder has the page, the values and the measurement."""
    path, folder = tmp_path / "measured.json", tmp_path / "plan"
    made = tuneship_here("deploy", "measure", tiny_bundle, "--output", path, "--seconds", 4)
    assert made.returncode == 0, made.stderr
    measured = Measurement.read(path, Bundle.open(tiny_bundle))
    planned = tuneship_here(
        "deploy", "plan", "helm", tiny_bundle, "--image", IMAGE, "--measurement", path, "--output", folder
    )
    assert planned.returncode == 0, planned.stderr
    assert f"{folder / 'PLAN.md'}" in planned.stdout.replace("\n", "")
    assert (folder / "values-plan.yaml").is_file()
    assert (folder / "measurement.json").read_text() == measured.to_json()


@pytest.mark.slow
def test_json(tiny_bundle: Path, measured: Path, tmp_path: Path) -> None:
    """The output is JSON and nothing else."""
    options = ("--image", IMAGE, "--measurement", measured, "--output", tmp_path / "plan", "--json")
    result = tuneship_here("deploy", "plan", "kubernetes", tiny_bundle, *options)
    found = json.loads(result.stdout)
    assert found["signature"] == "not signed (tuneship sign)"
    assert found["folder"] == str(tmp_path / "plan")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(("mainframe", "--image", IMAGE), ["'mainframe'", "helm"], id="target"),
        pytest.param(("helm", "--image", "support:latest"), ["'support:latest'", "docker push"], id="a tag"),
        pytest.param(("helm", "--image", IMAGE, "--name", "Support"), ["'Support'", "a-z"], id="name"),
        pytest.param(("helm", "--image", IMAGE, "--prices", "none.json"), ["none.json cannot be read"], id="prices"),
        pytest.param(("helm", "--image", IMAGE, "--output", "deploy"), ["deploy is not empty"], id="folder"),
        pytest.param(("helm", "--image", IMAGE, "--p99-ms", "0.1"), ["--p99-ms 0.1 cannot be held"], id="p99"),
    ],
)
def test_refused(tiny_bundle: Path, measured: Path, tmp_path: Path, options: tuple[str, ...], words: list[str]) -> None:
    """A message says what was wrong and what is accepted; nothing is written."""
    target, *further = options
    output = () if "--output" in options else ("--output", tmp_path / "plan")
    result = tuneship_here("deploy", "plan", target, tiny_bundle, "--measurement", measured, *further, *output)
    assert_refused(result, *words)
    assert not (tmp_path / "plan").exists()


def test_an_altered_bundle(tiny_bundle: Path, measured: Path, tmp_path: Path) -> None:
    """It is not planned with."""
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (bundle / "tokenizer.json").write_text("{}")
    options = ("--image", IMAGE, "--measurement", measured, "--output", tmp_path / "plan")
    assert_refused(tuneship_here("deploy", "plan", "helm", bundle, *options), "tokenizer.json was altered")
    assert not (tmp_path / "plan").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("given", "state"), [(True, "verified with public.pem"), (False, "signed; not verified")])
def test_a_signed_bundle(tiny_bundle: Path, measured: Path, tmp_path: Path, given: bool, state: str) -> None:
    """The plan says whether the signature was checked."""
    bundle, keys = shutil.copytree(tiny_bundle, tmp_path / "bundle"), make_keys(tmp_path / "keys")
    sign_with_key(bundle, keys.private)
    options = ("--image", IMAGE, "--measurement", measured, "--output", tmp_path / "plan")
    key = ("--require-signature", keys.public) if given else ()
    assert tuneship_here("deploy", "plan", "helm", bundle, *options, *key).returncode == 0
    assert state in (tmp_path / "plan" / "PLAN.md").read_text()


def test_another_key(tiny_bundle: Path, measured: Path, tmp_path: Path) -> None:
    """A signature that is required and missing is refused."""
    options = ("--image", IMAGE, "--measurement", measured, "--output", tmp_path / "plan")
    key = make_keys(tmp_path / "keys").public
    result = tuneship_here("deploy", "plan", "helm", tiny_bundle, *options, "--require-signature", key)
    assert_refused(result, "is not signed")
