"""What the repository promises of itself: pins that agree, generated documents, nothing of a machine in it."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import yaml

from deploy.lock import APART
from export.bundle.reference_docs import bundle_reference
from serving import VERSION
from trainer.recipe.recipe import load_recipe
from trainer.recipe.reference import recipe_reference

ROOT = Path(__file__).parent.parent
RANGES = {"bentoml>=1.4.39,<1.5": "bentoml==1.4.39"}
"""What may float, since tests pass with each version (tests/serving/bento/test_versions.py), and what is locked."""

COMMANDS = sorted((ROOT / "commands").glob("*.py"))
VARIABLE = re.compile(r"\b(?:TUNESHIP|OTEL|AIP|SAGEMAKER)(?:_[A-Z]+)+\b")


def tracked_files() -> list[Path]:
    """Every file that git tracks."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listing.splitlines() if (ROOT / line).is_file()]


def pins(name: str) -> set[str]:
    """The `name==version` lines of a requirement file."""
    lines = (ROOT / name).read_text().splitlines()
    return {line.strip().lower().replace("_", "-") for line in lines if "==" in line}


def declared() -> dict[str, set[str]]:
    """The pins of pyproject.toml: the base ones under ``serve``, and each extra's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"serve": project["dependencies"], **project["optional-dependencies"]}
    return {name: {_pin(requirement) for requirement in group} for name, group in groups.items()}


def _pin(requirement: str) -> str:
    """As the lock files have it."""
    return _without_extras(RANGES.get(requirement, requirement).lower().replace("_", "-"))


def _without_extras(pin: str) -> str:
    """``name[extra]==1`` as the lock file has it."""
    return re.sub(r"\[[a-z0-9,-]+\]==", "==", pin)


def test_the_locks_agree_with_pyproject() -> None:
    """Each pin of pyproject.toml is in the lock file that installs it, so that nothing drifts apart."""
    groups = declared()
    assert groups["serve"] | groups["otel"] <= pins("requirements.txt")
    everything = set().union(*(group for name, group in groups.items() if name not in APART))
    assert everything <= pins("requirements-dev.txt")
    assert not pins("requirements-dev.txt") & groups["qlora"]  # peft would load it in every training
    assert all(pin in (ROOT / "Makefile").read_text() for pin in groups["qlora"])


def test_serving_is_lean() -> None:
    """What a server installs has no training framework in it."""
    names = {pin.partition("==")[0] for pin in pins("requirements.txt")}
    assert not names & {"torch", "transformers", "datasets", "onnx", "scikit-learn", "pandas", "scipy", "matplotlib"}


def test_every_version_is_pinned() -> None:
    """No direct dependency floats, but those of RANGES."""
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", pin) for group in declared().values() for pin in group)


def test_the_recipe_reference_is_current() -> None:
    """docs/recipe.md is what the code says (make docs writes it)."""
    assert (ROOT / "docs" / "recipe.md").read_text() == recipe_reference()


def test_every_variable_is_documented() -> None:
    """docs/settings.md lists each variable that the code reads, once, and no other; each option it names exists."""
    code = [*(ROOT / "serving").rglob("*.py"), *(ROOT / "export").rglob("*.py"), *COMMANDS]
    read = {name for path in code for name in re.findall(VARIABLE, path.read_text())}
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(VARIABLE, row.split(" | ")[0])]
    assert len(listed) == len(set(listed))
    assert set(listed) == read - {"OTEL_SERVICE_NAME"}
    options = set(re.findall(r"`(--[a-z-]+)`", page))
    parameters = {name for path in COMMANDS for name in re.findall(r"^    (\w+): ", path.read_text(), re.M)}
    spelled = {"--" + name.replace("_", "-") for name in parameters}
    assert {"--log-format", "--api-keys-file"} <= options <= spelled


def test_the_bundle_reference_is_current() -> None:
    """docs/bundle.md is what the code says (make docs writes it)."""
    assert (ROOT / "docs" / "bundle.md").read_text() == bundle_reference()


def test_the_recipes_load() -> None:
    """Every recipe of the project is one."""
    for path in (ROOT / "recipes").glob("*.yaml"):
        load_recipe(path)


def test_the_docs_show_the_quickstart_recipe() -> None:
    """The recipe in docs/training.md is the one it names."""
    shown = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "training.md").read_text(), re.DOTALL)
    assert shown is not None
    assert yaml.safe_load(shown[1]) == yaml.safe_load((ROOT / "recipes" / "quickstart.yaml").read_text())


def test_no_file_names_this_machine() -> None:
    """No absolute path of a developer's machine and no pickle is in the repository."""
    for path in tracked_files():
        assert path.suffix not in {".pkl", ".bin", ".pt", ".pth"}, path
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not re.search(r"/(home|root|work)/\w", text), path


def test_ci_runs_the_readmes_test_command() -> None:
    """.ci/run ends in the command that the README names."""
    assert "make test" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("\nmake test")


def test_one_version() -> None:
    """What is installed and what a server tells is one version."""
    assert importlib.metadata.version("tuneship") == VERSION
