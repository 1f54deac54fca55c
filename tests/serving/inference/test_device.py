"""A variant serves on the processor that it was proven on; where that is missing, the message says what was found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import MANIFEST
from serving.errors import BundleError, InputError
from serving.inference import device, session
from serving.inference.device import choose_provider, missing_cuda, parse_device, require_device
from serving.inference.predictor import Predictor
from tests.bundles import forge, manifest_of
from tests.test_cli import assert_refused, tuneship_here
from trainer.run.run import Run

CUDA = ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture
def gpu_bundle(tiny_fallback_bundle: Path, tmp_path: Path) -> Path:
    """As if its first variant had been proven on a GPU; the fallback is proven on the CPU."""
    return forge(tiny_fallback_bundle, tmp_path / "gpu", graph={"provider": "cuda"})


@pytest.fixture
def with_cuda_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if onnxruntime-gpu were installed."""
    monkeypatch.setattr(session.onnxruntime, "get_available_providers", lambda: CUDA)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    """The package with its version and providers, the driver, and the remedy."""
    reason = missing_cuda(tmp_path / "version")
    assert reason.startswith("onnxruntime 1.")
    for words in ("has ", "CPUExecutionProvider", "there is no NVIDIA driver", "pip install 'tuneship[gpu]'"):
        assert words in reason


def test_a_missing_driver_is_told(tmp_path: Path, with_cuda_package: None) -> None:
    """The package alone does not suffice."""
    assert "Install NVIDIA's driver" in missing_cuda(tmp_path / "version")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.1\n")
    assert missing_cuda(tmp_path / "version") == ""


def test_an_export_chooses() -> None:
    """``auto`` is the CPU here; ``cuda`` is refused with the reason."""
    assert choose_provider("auto") == choose_provider("cpu") == "cpu"
    with pytest.raises(InputError, match="--device cuda: there is no GPU to run on: onnxruntime 1"):
        choose_provider("cuda")


def test_an_export_for_a_gpu_is_refused_before_the_work(tiny_run: Run, tmp_path: Path) -> None:
    """Nothing is written; an unknown device is named with what is accepted."""
    result = tuneship_here("export", tiny_run.root, "--output", tmp_path / "b", "--device", "cuda")
    assert_refused(result, "there is no GPU", "onnxruntime-gpu", "driver")
    result = tuneship_here("export", tiny_run.root, "--output", tmp_path / "b", "--device", "gpu")
    assert_refused(result, "--device gpu is unknown; accepted are: auto, cpu, cuda")
    assert not any(tmp_path.iterdir())


def test_a_server_without_a_gpu_takes_the_fallback(gpu_bundle: Path) -> None:
    """And says why; with ``cuda`` asked it refuses, and so it does where there is no fallback."""
    predictor = Predictor.open(gpu_bundle)
    assert predictor.choice.served == "fp32"
    assert "was proven on a GPU, and here is none to run on" in predictor.choice.warnings[0]
    with pytest.raises(
        BundleError, match=r"no variant answers on this machine.*fp32: the fp32 variant was proven on cpu"
    ):
        Predictor.open(gpu_bundle, device="cuda")


def test_without_a_fallback_it_refuses(tiny_bundle: Path, tmp_path: Path) -> None:
    """Nothing serves that was not proven here."""
    bundle = forge(tiny_bundle, tmp_path / "gpu", graph={"provider": "cuda"})
    with pytest.raises(BundleError, match="here is none to run on: onnxruntime 1"):
        Predictor.open(bundle)
    assert_refused(tuneship_here("verify", bundle), "here is none to run on")


def test_the_cpu_alone_may_be_asked(gpu_bundle: Path, tiny_bundle: Path) -> None:
    """Then a variant that was proven on a GPU does not serve, whatever the machine has."""
    require_device(Bundle.open(tiny_bundle), "cpu")
    with pytest.raises(BundleError, match="proven on cuda, and cpu is asked for"):
        require_device(Bundle.open(gpu_bundle), "cpu")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_that_cannot_be_used_is_no_cpu(
    gpu_bundle: Path, with_cuda_package: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime would quietly run on the CPU where CUDA's libraries cannot be loaded."""
    (tmp_path / "version").write_text("NVRM version: 580.1\n")
    monkeypatch.setattr(device.missing_cuda, "__defaults__", (tmp_path / "version",))
    predictor = Predictor.open(gpu_bundle)
    assert predictor.choice.served == "fp32"
    assert "cannot load CUDA's or cuDNN's libraries" in predictor.choice.warnings[0]


def test_the_manifest_names_a_gpu_and_no_cpu(gpu_bundle: Path, tiny_bundle: Path) -> None:
    """Bundles of before are read as they are."""
    assert "provider" not in json.loads((tiny_bundle / MANIFEST).read_text())["graph"]
    assert json.loads((gpu_bundle / MANIFEST).read_text())["graph"]["provider"] == "cuda"
    assert manifest_of(tiny_bundle).graph.provider == "cpu"


def test_unknown_devices() -> None:
    """They are named with those that are accepted."""
    with pytest.raises(InputError, match="accepted are: auto, cpu, cuda"):
        parse_device("tpu")
