"""For pytest where only a server is installed: what trains or exports by itself is skipped, with the missing package.

``-p tests.without_training``, in an environment that `tests.server_side` makes.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.paths import ROOT


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """A module that may need more than a server has."""
    return _Module.from_parent(parent, path=module_path)


class _Module(pytest.Module):
    def _getobj(self) -> object:
        try:
            return super()._getobj()
        except self.CollectError as error:
            _skip_where_missing(error.__cause__)
            raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    """A fixture may need more than a server has."""
    try:
        yield
    except ModuleNotFoundError as error:
        _skip_where_missing(error)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """A test may need more than a server has."""
    try:
        yield
    except ModuleNotFoundError as error:
        _skip_where_missing(error)
        raise


def _skip_where_missing(error: BaseException | None) -> None:
    """Unless it is a package of a server, or our own."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return
    name = error.name.partition(".")[0]
    if name not in server_modules() and not (ROOT / name).exists():
        pytest.skip(f"needs {name}, which is no part of a server", allow_module_level=True)


def server_modules() -> set[str]:
    """What a server's own code imports: a test that misses one of them fails."""
    return {
        *("awslambdaric", "bentoml", "cryptography", "fsspec", "google", "grpc", "httptools", "httpx"),
        *("huggingface_hub", "numpy", "onnxruntime", "opentelemetry", "orjson", "prometheus_client", "pyarrow"),
        *("pydantic", "rich", "starlette", "tokenizers", "typer", "uvicorn", "uvloop", "yaml"),
    }
