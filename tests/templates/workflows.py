"""Runs the jobs of GitHub workflows here: a fresh checkout for each, then its steps in their order.

It knows the expressions and actions of our templates, and refuses any other.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"], None: ["bash", "-e"]}
"""As GitHub runs them: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax."""

IGNORED = ("actions/checkout", "actions/setup-python", "actions/cache", "aws-actions/configure-aws-credentials")
SECONDS = 600


class StepFailed(Exception):
    def __init__(self, name: str, output: str) -> None:
        super().__init__(f"{name}\n{output}")
        self.name, self.output = name, output


@dataclass
class Runner:
    """A repository on GitHub.

    Attributes:
        project: what is checked out.
        home: for checkouts, artifacts and outputs.
        variables: of the repository.
        replaced: scripts in the place of those of steps, by name; what has no equal on this machine.
        environment: of every step.
        outputs: of jobs that have run.
        ran: names of the steps that have run, by job.
        summary: the text of the job summaries.
    """

    project: Path
    home: Path
    variables: Mapping[str, str]
    replaced: Mapping[str, str]
    environment: Mapping[str, str]
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    ran: dict[str, list[str]] = field(default_factory=dict)
    summary: str = ""

    def run_job(self, file: str, name: str, only: str = "", checkout: Path | None = None) -> Path:
        """All steps, or one, in a new or another job's checkout. Returns the checkout; raises StepFailed."""
        workflow = yaml.safe_load((self.project / ".github" / "workflows" / file).read_text())
        job = workflow["jobs"][name]
        checkout = checkout or shutil.copytree(self.project, self.home / f"{name}-{len(self.ran)}")
        context = {
            "vars": self.variables,
            "github": {"token": "t0ken", "sha": 40 * "a", "run_id": "17", "run_attempt": "1", "workspace": checkout},
            "needs": {each: {"outputs": outputs} for each, outputs in self.outputs.items()},
            "steps": {},
        }
        environment = {**workflow.get("env", {}), **job.get("env", {})}
        shell = workflow.get("defaults", {}).get("run", {}).get("shell")
        self.ran[name] = []
        for step in job["steps"]:
            if only in ("", step.get("name")) and _holds(step.get("if"), context):
                self._run_step(name, step, checkout, environment, shell, context)
        self.outputs[name] = {key: evaluate(text, context) for key, text in job.get("outputs", {}).items()}
        return checkout

    def _run_step(
        self,
        job: str,
        step: dict[str, Any],
        checkout: Path,
        environment: Mapping[str, str],
        shell: str | None,
        context: dict[str, Any],
    ) -> None:
        name = step.get("name") or step["uses"].partition("@")[0]
        self.ran[job].append(name)
        if "uses" in step:
            self._use(step["uses"].partition("@")[0], step.get("with", {}), checkout)
            return
        files = {"GITHUB_OUTPUT": self.home / "output", "GITHUB_STEP_SUMMARY": self.home / "summary"}
        for path in files.values():
            path.write_text("")
        given = {**environment, **step.get("env", {})}
        variables = {
            **os.environ,
            **self.environment,
            **{key: evaluate(text, context) for key, text in given.items()},
            **{key: str(path) for key, path in files.items()},
            "GITHUB_WORKFLOW_REF": "team/support/.github/workflows/ship.yaml@refs/heads/main",
            "GITHUB_ACTOR": "tuner",
        }
        script = self.replaced.get(name, step["run"])
        command = [*SHELLS[step.get("shell", shell)], "-c", evaluate(script, context)]
        done = subprocess.run(
            command, cwd=checkout, env=variables, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        if done.returncode:
            raise StepFailed(name, done.stdout + done.stderr)
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        if "id" in step:
            lines = files["GITHUB_OUTPUT"].read_text().splitlines()
            context["steps"][step["id"]] = {"outputs": dict(line.split("=", 1) for line in lines)}

    def _use(self, action: str, given: Mapping[str, Any], checkout: Path) -> None:
        if action == "actions/upload-artifact":
            shutil.copytree(checkout / given["path"], self.artifact(given["name"]), dirs_exist_ok=True)
        elif action == "actions/download-artifact":
            shutil.copytree(self.artifact(given["name"]), checkout / given["path"])
        else:
            assert action in IGNORED, action

    def artifact(self, name: str) -> Path:
        return self.home / "artifacts" / name


def evaluate(text: str, context: Mapping[str, Any]) -> str:
    """With its expressions replaced; an unknown one is an error."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: _value(found[1], context), text)


def _value(expression: str, context: Mapping[str, Any]) -> str:
    assert re.fullmatch(r"[a-z]+(\.[A-Za-z_-]+)+", expression), expression
    scope, *names = expression.split(".")
    value: Any = context[scope]
    for name in names:
        value = value.get(name, "") if scope == "vars" else value[name]
    return str(value)


def _holds(condition: str | None, context: Mapping[str, Any]) -> bool:
    if condition is None:
        return True
    found = re.fullmatch(r"\$\{\{ ([\w.]+) != '' \}\}", condition)
    assert found, condition
    return _value(found[1], context) != ""
