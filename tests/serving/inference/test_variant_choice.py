"""On a machine that does not answer as proven, another proven variant does, and it is said everywhere; or none does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from deploy.measurement.process import free_port
from serving.bundle.bundle import Bundle
from serving.bundle.cpu import INSTRUCTIONS, Machine, cpu_mismatches, describe_machine
from serving.errors import BundleError
from serving.http.app import create_app
from serving.inference import predictor as predictor_module
from serving.inference.predictor import Predictor
from tests.bundles import forge, golden_with, manifest_of
from tests.serving.processes import get, python, running
from tuneship import app

TEXTS = ["where is my parcel?", "refund order 17"]
VNNI: Machine = {"architecture": "x86_64", "cpu": "one", "features": ["avx2", "avx512_vnni"]}
AVX2: Machine = {"architecture": "x86_64", "cpu": "another", "features": ["avx2"]}
ARM: Machine = {"architecture": "aarch64", "cpu": "a third", "features": ["asimddp"]}


def wrong(row: dict[str, Any]) -> None:
    """Record other logits than any machine gives."""
    row["logits"][0][0] += 1.0


def corrupted(bundle: Path, target: Path, *names: str, **parts: Mapping[str, Any] | Any) -> Path:
    """A copy whose golden files of these names hold answers that no machine gives."""
    return forge(bundle, target, files={name: golden_with(bundle, wrong, name) for name in names}, **parts)


@pytest.fixture
def fallen(tiny_fallback_bundle: Path, tmp_path: Path) -> Path:
    """A bundle whose int8 does not answer as recorded here, and whose fp32 does."""
    return corrupted(tiny_fallback_bundle, tmp_path / "forged", "golden.jsonl")


def elsewhere(bundle: Path, target: Path, *corrupt: str) -> Path:
    """A copy that says it was proven on a CPU that differs from this one in 8-bit dot products."""
    here = describe_machine()
    kind = INSTRUCTIONS["int8-dot-product"]
    features = [] if kind & set(here["features"]) else ["avx512_vnni"]
    return corrupted(bundle, target, *corrupt, proven_on={**here, "features": features})


def test_at_home(tiny_fallback_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the preferred variant answers as recorded it serves, and there is nothing to tell."""
    choice = Predictor.open(tiny_fallback_bundle).choice
    assert (choice.preferred, choice.served, choice.warnings) == ("int8", "int8", [])
    assert caplog.records == []


def test_falls_back(fallen: Path, tiny_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Other answers than recorded: the next variant serves its own answers, and the log says which, why and where."""
    predictor = Predictor.open(fallen)
    assert predictor.manifest.graph.variant == "fp32"
    assert predictor.predict(TEXTS) == Predictor.open(tiny_bundle).predict(TEXTS)
    first, second = caplog.messages
    assert "the int8 variant does not serve here: golden.jsonl, row 1" in first
    assert "the fp32 variant serves in its place" in second
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_info_and_metrics_tell(fallen: Path) -> None:
    """/info names both variants and the reason; the metric is 1, under labels that are the bundle's own."""
    with TestClient(create_app(lambda: Predictor.open(fallen))) as client:
        info, metrics = client.get("/info").json(), client.get("/metrics").text
    assert (info["variant"], info["variant_preferred"]) == ("fp32", "int8")
    (rejected,) = info["variants_passed_over"]
    assert rejected["variant"] == "int8"
    assert "golden.jsonl, row 1" in rejected["reason"]
    assert info["machine"] == describe_machine()
    name = manifest_of(fallen).name
    assert metric(metrics, "tuneship_fallback") == {f'model="{name}"', 'preferred="int8"', 'variant="fp32"', "1.0"}
    assert 'variant="fp32"' in metric(metrics, "tuneship_bundle_info")


def test_metric_at_home(client: TestClient) -> None:
    """The metric is there, and 0, where nothing fell back: an alert can rely on it."""
    assert "0.0" in metric(client.get("/metrics").text, "tuneship_fallback")


@pytest.mark.slow
def test_a_real_server_tells(fallen: Path, tmp_path: Path) -> None:
    """`tuneship serve` warns in its log, and serves."""
    port = free_port()
    with running(python("-m", "tuneship", "serve", fallen, "--port", port), port, tmp_path / "log") as server:
        assert get(f"{server.url}/info")[0] == 200
        assert "the fp32 variant serves in its place" in server.log.read_text()


def test_graph_that_cannot_be_loaded(tiny_fallback_bundle: Path, tmp_path: Path) -> None:
    """A graph that this machine's onnxruntime cannot load is passed over like one that answers otherwise."""
    graph = onnx.load(tiny_fallback_bundle / "model.onnx")
    graph.opset_import[0].version = 999
    files = {"model.onnx": graph.SerializeToString()}
    choice = Predictor.open(forge(tiny_fallback_bundle, tmp_path / "forged", files=files)).choice
    assert choice.served == "fp32"
    assert "model.onnx cannot be loaded" in choice.rejected[0].reason


def test_other_cpu(tiny_fallback_bundle: Path, tmp_path: Path) -> None:
    """On another kind of CPU int8's golden answers prove little: fp32, which does not depend on it, serves."""
    choice = Predictor.open(elsewhere(tiny_fallback_bundle, tmp_path / "forged")).choice
    assert (choice.served, choice.rejected[0].variant) == ("fp32", "int8")
    assert "int8-dot-product instructions" in choice.rejected[0].reason


def test_other_machine(tiny_fallback_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, told from this machine's side: another architecture than the bundle was proven on."""
    monkeypatch.setattr(predictor_module, "describe_machine", lambda: {**describe_machine(), "architecture": "riscv"})
    choice = Predictor.open(tiny_fallback_bundle).choice
    assert choice.served == "fp32"
    assert "this machine is riscv" in choice.rejected[0].reason


def test_other_cpu_without_another_variant(tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """With nothing to fall back on, no server starts, although the golden answers hold; it is said what to do."""
    bundle = elsewhere(tiny_int8_bundle, tmp_path / "forged")
    with pytest.raises(BundleError, match=r"was proven on a CPU with.*--fallback"):
        Predictor.open(bundle)
    Predictor(Bundle.open(bundle)).replay_golden()
    result = CliRunner().invoke(app, ["verify", str(bundle)])
    assert isinstance(result.exception, BundleError)


def test_other_cpu_and_the_fallback_differs(tiny_fallback_bundle: Path, tmp_path: Path) -> None:
    """Where fp32 does not hold either, nothing serves; both reasons are told."""
    with pytest.raises(BundleError, match=r"int8: it was proven on a CPU.*fp32: golden\.fp32\.jsonl, row 1"):
        Predictor.open(elsewhere(tiny_fallback_bundle, tmp_path / "forged", "golden.fp32.jsonl"))


def test_verify_says_what_serves(tiny_fallback_bundle: Path, tmp_path: Path) -> None:
    """`tuneship verify` warns of the variant that does not serve on this CPU, as a server would."""
    result = CliRunner().invoke(app, ["verify", str(elsewhere(tiny_fallback_bundle, tmp_path / "forged"))])
    assert result.exit_code == 0
    assert "! the int8 variant does not serve here: it was proven on a CPU" in result.output
    assert "golden answers hold here, fp32" in result.output


def test_nothing_holds(tiny_fallback_bundle: Path, tmp_path: Path) -> None:
    """Where no variant answers as recorded nothing is served, and each one's reason is given."""
    forged = corrupted(tiny_fallback_bundle, tmp_path / "forged", "golden.jsonl", "golden.fp32.jsonl")
    with pytest.raises(
        BundleError, match=r"no variant answers .*int8: golden\.jsonl, row 1.*fp32: golden\.fp32\.jsonl"
    ):
        Predictor.open(forged)


@pytest.mark.parametrize(
    ("proven_on", "machine", "expected"),
    [
        (VNNI, VNNI, ""),
        (VNNI, {**VNNI, "features": ["avx_vnni"]}, ""),
        (AVX2, AVX2, ""),
        (VNNI, AVX2, "proven on a CPU with int8-dot-product instructions and this machine's has none"),
        (AVX2, VNNI, "proven on a CPU without int8-dot-product instructions and this machine's has some"),
        (VNNI, ARM, "proven on x86_64 and this machine is aarch64"),
    ],
)
def test_differences(proven_on: Machine, machine: Machine, expected: str) -> None:
    """CPUs with 8-bit dot products are alike; to lack them makes a difference, and so does another kind."""
    found = cpu_mismatches(["int8-dot-product"], proven_on, machine)
    assert (expected in found[0]) if expected else found == ()
    assert cpu_mismatches([], proven_on, machine) == ()


def metric(exposition: str, name: str) -> set[str]:
    """A metric's only sample as its labels and its value."""
    (line,) = (line for line in exposition.splitlines() if line.startswith(name + "{"))
    labels, _, value = line.removeprefix(name + "{").partition("} ")
    return {*labels.split(","), value}
