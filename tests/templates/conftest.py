"""A project of `tuneship new`, with a base model that trains in seconds, on a GitHub of this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from templates.new import create_project
from tests.keys import make_keys
from tests.paths import ROOT
from tests.templates.workflows import Runner

IMAGE = f"registry.example.com/support@sha256:{64 * 'a'}"
TRAINING = {"learning_rate": 5.0e-3, "head_learning_rate": 2.0e-2, "num_train_epochs": 12, "bf16": False}


@pytest.fixture(scope="module")
def runner_of(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Runner]:
    """Gives the runner of a new project; ``training`` and ``variables`` can be set. All share one registry and key."""
    home = tmp_path_factory.mktemp("github")
    keys = make_keys(home / "keys")
    command = home / "bin" / "tuneship"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tuneship "$@"\n')
    command.chmod(0o755)
    bundles = f"file://{home}/bundles"
    checked = f"tuneship verify bundles/model --key {keys.public}"
    replaced = {
        # no package index, no OpenID provider, no engine and no cluster is taken for granted here
        "Install": "",
        # a random base model finds every text like every other; test_the_rows_are_sound runs this step with a real one
        "Check the rows": "",
        "Log in": "",
        "Log in where production is": "",
        "Sign": f"tuneship sign bundles/model --key {keys.private}",
        "Verify files, signer and answers": checked,
        "Build and push the image": f'echo "image={IMAGE}" >> "$GITHUB_OUTPUT"',
        "Deploy": "test -f deployments/plan/tuneship/Chart.yaml && test -f deployments/plan/values-plan.yaml",
    }

    def make(name: str, training: dict[str, Any] | None = None, **variables: str) -> Runner:
        folder = home / name
        folder.mkdir()
        project = folder / "support"
        create_project(project, "text-classification")
        recipe = yaml.safe_load((project / "recipe.yaml").read_text())
        recipe["model"] = str(tiny_backbone)
        recipe["training"] |= TRAINING | (training or {})
        (project / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        environment = {"PATH": f"{command.parent}:/usr/bin:/bin", "COLUMNS": "120"}
        given = {"BUNDLES": bundles, "IMAGE": "registry.example.com/support", **variables}
        return Runner(project, folder, given, replaced, environment)

    return make
