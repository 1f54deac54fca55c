"""The zipped function answers in a bare interpreter, is the same each time, and fits what Lambda takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy import lambda_zip
from deploy.image.install import normalize
from serving.entrypoints.golden_check import compare_values
from serving.errors import InputError
from serving.inference.predictor import Predictor
from tests.serving.runtime_api import RuntimeApi

HANDLER = ("-m", "awslambdaric", "serving.lambda_handler.handler")


@pytest.fixture(scope="module")
def zips(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both files, for this interpreter."""
    folder = tmp_path_factory.mktemp("zips")
    try:
        sizes = lambda_zip.build(tiny_bundle, folder, python=f"{sys.version_info[0]}.{sys.version_info[1]}")
    except InputError as error:
        pytest.skip(f"pip cannot install here: {str(error)[:200]}")
    assert 0 < sizes["function.zip"] < sizes["layer.zip"] < 200 * 2**20
    return folder


@pytest.mark.slow
def test_it_answers_in_a_bare_interpreter(zips: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    """With what is unzipped and Python's own library alone."""
    for name in ("layer.zip", "function.zip"):
        zipfile.ZipFile(zips / name).extractall(tmp_path)
    with RuntimeApi() as api:
        variables = {
            "PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path / 'python'}:{tmp_path}",
            "AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        }  # fmt: skip
        process = subprocess.Popen([sys.executable, "-S", *HANDLER], cwd=tmp_path, env=variables)
        try:
            answer = api.invoke({"inputs": ["stop"]}, timeout=120).payload
        finally:
            process.kill()
            process.wait()
    assert not list(compare_values(Predictor.open(tiny_bundle).predict(["stop"]), answer, tolerance=1e-5))


def test_equal_inputs_give_equal_files(tmp_path: Path) -> None:
    """Whatever the files' times and order."""
    for name, time in (("one", 1_000_000_000), ("two", 1_500_000_000)):
        for file in ("b", "a") if name == "one" else ("a", "b"):
            path = tmp_path / name / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(file)
            os.utime(path, (time, time))
        lambda_zip.write_zip(tmp_path / name, tmp_path / f"{name}.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_what_lambda_refuses() -> None:
    """Above 250 MB it tells the sizes and what to do instead."""
    lambda_zip.require_fit({"layer.zip": 200 * 2**20, "function.zip": 50 * 2**20})
    with pytest.raises(InputError, match=r"250\.1 MB \(layer\.zip 200\.1 MB, function\.zip 50\.0 MB\).*use the image"):
        lambda_zip.require_fit({"layer.zip": 200 * 2**20 + 100_000, "function.zip": 50 * 2**20})


def test_no_bundle(tmp_path: Path) -> None:
    """A folder without a manifest is refused before anything is installed."""
    with pytest.raises(InputError, match="is not a bundle"):
        lambda_zip.build(tmp_path, tmp_path / "zips", python="3.12")


def test_every_package_is_pinned() -> None:
    """By the server's lock, and no wheel is taken whose hash is another."""
    lines = lambda_zip.locked_packages().splitlines()
    assert {normalize(line.partition("==")[0]) for line in lines} == set(lambda_zip.PACKAGES)
    assert all(re.fullmatch(r"\S+==\S+( --hash=sha256:[0-9a-f]{64})+", line) for line in lines)
