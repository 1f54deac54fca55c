"""What the repository promises of itself: pins that agree, generated documents, nothing of a machine in it."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from deploy.image.install import normalize
from deploy.image.lock import PYTHONS, read_pins
from deploy.lock import APART, CONSTRAINTS, lower_bound, read_groups
from export.bundle.reference_docs import bundle_reference
from serving import VERSION
from trainer.recipe.recipe import load_recipe
from trainer.recipe.reference import recipe_reference

ROOT = Path(__file__).parent.parent
UNCAPPED = {"cryptography", "pyopenssl", "pyarrow", "s3fs", "gcsfs"}
"""No upper bound: their majors come every few months, or their versions are dates."""

COMMANDS = sorted((ROOT / "commands").glob("*.py"))
VARIABLE = re.compile(r"\b(?:TUNESHIP|OTEL|AIP|SAGEMAKER)(?:_[A-Z]+)+\b")


def tracked_files() -> list[Path]:
    """Every file that git tracks."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listing.splitlines() if (ROOT / line).is_file()]


def declared() -> dict[str, list[Requirement]]:
    """pyproject.toml's requirements by extra, a server's own as ``server``."""
    return {name: list(map(Requirement, lines)) for name, lines in read_groups().items()}


def locked(name: str) -> dict[str, str]:
    """The versions of a requirement file by package."""
    return {package: pin.partition("==")[2] for package, pin in read_pins(ROOT / name).items()}


def outside(requirements: Iterable[Requirement], versions: Mapping[str, str]) -> list[str]:
    """Those that the versions do not satisfy."""
    found = [(each, versions.get(normalize(each.name), "")) for each in requirements]
    return [f"{each} {version}" for each, version in found if not version or version not in each.specifier]


def test_the_locks_agree_with_pyproject() -> None:
    """Each requirement of pyproject.toml is in the lock that installs it, within its range."""
    groups = declared()
    assert outside([*groups["server"], *groups["otel"]], locked("requirements.txt")) == []
    everything = [each for name, group in groups.items() if name not in APART for each in group]
    assert outside(everything, locked("requirements-dev.txt")) == []
    assert "bitsandbytes" not in locked("requirements-dev.txt")  # peft would load it in every training
    made = dict(re.findall(r"\b([a-z0-9-]+)==([\w.]+)", (ROOT / "Makefile").read_text()))
    assert outside([*groups["qlora"], *groups["minilm"]], made) == []


def test_markers_are_kept() -> None:
    """What exists on Linux alone is skipped elsewhere, in each file that pip reads."""
    for name in ("requirements.txt", "requirements-dev.txt", "deploy/image/requirements-cpu.txt"):
        assert re.search(r"^awslambdaric==\S+ ; sys_platform == \"linux\"", (ROOT / name).read_text(), re.MULTILINE)


def test_a_new_project_gets_the_tested_versions() -> None:
    """`make lock` writes them for both."""
    assert CONSTRAINTS.read_text() == (ROOT / "requirements-dev.txt").read_text()


def test_serving_is_lean() -> None:
    """What a server installs has no training framework in it."""
    training = {"torch", "transformers", "datasets", "onnx", "scikit-learn", "pandas", "scipy", "matplotlib"}
    assert not locked("requirements.txt").keys() & training


def test_every_range_has_bounds() -> None:
    """What users install floats between two bounds, but those of UNCAPPED; what develops Tuneship does not float."""
    groups = declared()
    used = [each for name, group in groups.items() if name != "dev" for each in group]
    assert [str(each) for each in used if {spec.operator for spec in each.specifier} != {">=", "<"}] == [
        str(each) for each in used if each.name in UNCAPPED
    ]
    assert all({spec.operator for spec in each.specifier} == {"=="} for each in groups["dev"])


def test_lower_bounds() -> None:
    """They are written as pip's constraints, with the marker and the extras."""
    assert lower_bound("numpy>=2.3.3,<3") == "numpy==2.3.3"
    assert lower_bound("ray[data]>=2.60,<3") == "ray[data]==2.60"
    assert lower_bound("uvloop>=0.22,<1 ; sys_platform != 'win32'") == "uvloop==0.22 ; sys_platform != 'win32'"
    with pytest.raises(ValueError, match="no lower bound"):
        lower_bound("numpy<3")


def test_the_supported_pythons_agree() -> None:
    """Those that pip takes are those that the lock has hashes for, and that `make setup` takes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    taken = SpecifierSet(project["requires-python"])
    assert [f"3.{minor}" for minor in range(8, 25) if f"3.{minor}" in taken] == list(PYTHONS)
    assert "(3, 11) <= sys.version_info[:2] <= (3, 14)" in (ROOT / "Makefile").read_text()


def test_the_page_of_installing_is_current() -> None:
    """docs/install.md names every extra that users install, the Pythons, the wheel, and files that are there."""
    page = (ROOT / "docs" / "install.md").read_text()
    named = set(re.findall(r"[`[,]([\w-]+)(?=[`\],])", page))
    assert read_groups().keys() - {"server", "dev"} <= named
    pythons = f"Python {PYTHONS[0]} to {PYTHONS[-1]}"
    assert pythons in page
    assert pythons in (ROOT / "README.md").read_text()
    assert {f"tuneship-{VERSION}-py3-none-any.whl"} == set(re.findall(r"tuneship-[\w.-]*?\.whl", page))
    for name in re.findall(r"(?:--requirement|--constraint) (\S+)", page):
        assert (ROOT / name).is_file()


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
    for path in (ROOT / "recipes").rglob("*.yaml"):
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
