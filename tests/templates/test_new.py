"""`tuneship new`: what it writes and what it refuses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from deploy.image.build import DOCKERFILE
from serving import VERSION
from templates.new import TASKS, create_project, template_files
from tests.paths import ROOT
from tests.test_cli import assert_refused, tuneship_here
from trainer.recipe.recipe import load_recipe
from trainer.setup.splits import load_splits
from trainer.tasks import create_training_task


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new project named support."""
    create_project(tmp_path / "support", "text-classification")
    return tmp_path / "support"


def test_a_project_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command makes the folder with every file of the template, and says what to read next."""
    monkeypatch.chdir(tmp_path)
    result = tuneship_here("new", "support")
    assert result.returncode == 0, result.stderr
    assert "support/README.md" in result.stdout
    home = ROOT / "templates" / "text-classification"
    expected = {path.relative_to(home) for path in template_files("text-classification")}
    assert {path.relative_to("support") for path in Path("support").rglob("*") if path.is_file()} == expected
    assert Path(".github/workflows/ship.yaml") in expected


def test_name_and_version_are_filled_in(project: Path) -> None:
    """No placeholder is left; the wheel is this version's."""
    texts = {path.name: path.read_text() for path in project.rglob("*") if path.is_file()}
    assert not [name for name, text in texts.items() if re.search("@[A-Z]+@", text)]
    assert f"tuneship-{VERSION}-py3-none-any.whl" in texts["requirements.txt"]
    assert json.loads(texts["devcontainer.json"])["name"] == "support"


def test_the_recipe_has_its_rows(project: Path) -> None:
    """Train and test rows are those of the project's own data, in two files without a common text."""
    recipe = load_recipe(project / "recipe.yaml")
    splits = load_splits(create_training_task(recipe))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (540, 60, 150)
    assert not set(splits.test.inputs) & {*splits.train.inputs, *splits.validation.inputs}


@pytest.mark.parametrize("name", ["Support", "1support", "with space", "-support", "x" * 29, "demo", "ends-in-"])
def test_a_name_that_nothing_takes_is_refused(tmp_path: Path, name: str) -> None:
    """The message says what a name is; nothing is written."""
    assert_refused(tuneship_here("new", tmp_path / name), name, "6 to 28 of a-z, 0-9 and -")
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    """A folder that has something is refused, an empty one is taken, one without a parent is told."""
    (tmp_path / "support").mkdir()
    (tmp_path / "support" / "mine.txt").write_text("mine")
    assert_refused(tuneship_here("new", tmp_path / "support"), "not an empty folder", "choose another NAME")
    assert [path.name for path in tmp_path.rglob("*")] == ["support", "mine.txt"]
    (tmp_path / "vacant").mkdir()
    assert tuneship_here("new", tmp_path / "vacant").returncode == 0
    assert_refused(tuneship_here("new", tmp_path / "none" / "support"), "there is no such folder")


def test_a_task_without_a_template_is_refused(tmp_path: Path) -> None:
    """The message lists those that have one."""
    assert_refused(tuneship_here("new", tmp_path / "support", "--task", "regression"), "regression", *TASKS)


def test_the_readme_has_the_gates_of_the_workflow(project: Path) -> None:
    """The table's commands are the workflow's, in its order."""
    rows = re.findall(r"^\| \w+ \| `(tuneship .*?)` \|$", (project / "README.md").read_text(), re.MULTILINE)
    steps = yaml.safe_load((project / ".github/workflows/gates.yaml").read_text())["jobs"]["prove"]["steps"]
    scripts = [step["run"] for step in steps if "tuneship " in step.get("run", "")]
    assert [shlex.split(row)[:3] for row in rows] == [shlex.split(script)[:3] for script in scripts]


def test_the_image_is_the_projects(project: Path) -> None:
    """The last stage says what the Dockerfile of Tuneship's own image says: user, variables, health check, command."""
    ours, theirs = (_last_stage(path) for path in (ROOT / DOCKERFILE, project / "Dockerfile"))
    assert ours <= theirs
    assert not {line for line in theirs - ours if line.split()[0] not in ("LABEL", "COPY", "FROM")}


def _last_stage(path: Path) -> set[str]:
    """Instructions, but those that name the image and copy stages of the file."""
    text = re.sub(r"\\\n\s*", "", path.read_text())
    lines = re.split(r"^FROM ", text, flags=re.MULTILINE)[-1].splitlines()[1:]
    kept = (line for line in lines if line and not line.startswith("#"))
    return {line for line in kept if not re.match(r"LABEL org|COPY --from=(packages|code|model)", line)}
