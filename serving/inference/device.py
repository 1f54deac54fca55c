"""The processor that a graph runs on: the one that it was proven on, if the operator lets it and the machine has it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from serving.bundle.bundle import Bundle
from serving.bundle.manifest import DEVICES, Device, Provider
from serving.errors import BundleError, InputError, did_you_mean
from serving.inference.session import CUDA, onnxruntime

DRIVER = Path("/proc/driver/nvidia/version")


def missing_cuda(driver: Path = DRIVER) -> str:
    """Why no graph can run on a GPU here, and what to do; empty if nothing is known to be missing."""
    providers = onnxruntime.get_available_providers()
    found = f"{_package()} has {', '.join(providers)}; {_describe_driver(driver)}"
    if CUDA not in providers:
        return (
            f"{found}. A GPU needs onnxruntime-gpu in the place of onnxruntime: pip uninstall onnxruntime, then pip"
            " install 'tuneship[gpu]'"
        )
    if not driver.is_file():
        return f"{found}. Install NVIDIA's driver; in a container, run it with --gpus all"
    return ""


def choose_provider(device: Device) -> Provider:
    """For an export: ``auto`` is the GPU where there is one. Raises InputError where ``cuda`` is asked and missing."""
    reason = missing_cuda() if device != "cpu" else ""
    if device == "cuda" and reason:
        raise InputError(f"--device cuda: there is no GPU to run on: {reason}", field="--device")
    return "cpu" if device == "cpu" or reason else "cuda"


def parse_device(text: str) -> Device:
    """Raises InputError."""
    for device in DEVICES:
        if text == device:
            return device
    known = f"{', '.join(DEVICES)}{did_you_mean(text, DEVICES)}"
    raise InputError(f"--device {text} is unknown; accepted are: {known}", field="--device")


def require_device(bundle: Bundle, device: Device) -> None:
    """Raise BundleError if the first variant was not proven on this device, or this machine has none such."""
    graph = bundle.manifest.graph
    if device not in ("auto", graph.provider):
        raise BundleError(
            f"the {graph.variant} variant was proven on {graph.provider}, and {device} is asked for. Export it with"
            f" --device {device}, or serve it with --device auto"
        )
    if graph.provider == "cuda" and (reason := missing_cuda()):
        raise BundleError(f"the {graph.variant} variant was proven on a GPU, and here is none to run on: {reason}")


def _package() -> str:
    """The installed distribution of onnxruntime."""
    for name in ("onnxruntime-gpu", "onnxruntime"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return f"onnxruntime {onnxruntime.__version__}"


def _describe_driver(driver: Path) -> str:
    if not driver.is_file():
        return "there is no NVIDIA driver"
    return f"the driver is {driver.read_text(errors='replace').splitlines()[0].strip()}"
