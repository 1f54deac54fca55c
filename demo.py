"""`make demo`: fine-tune, export, build and serve on the quickstart data, with the public commands.

It uses what an earlier demo has made, and stops the server it starts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from rich.console import Console
from rich.table import Table

from deploy.measurement.process import MeasurementError, free_port, spawned, wait_ready
from serving.bundle.bundle import Bundle
from serving.errors import BundleError
from trainer.run.lock import weight_hashes
from trainer.run.run import Run

RECIPE = Path("recipes/quickstart.yaml")
RUN = Path("runs/quickstart")
BUNDLE = Path("bundles/quickstart")
BENTO_HOME = Path(os.environ.setdefault("BENTOML_HOME", str(Path("build/bentoml").resolve())))
os.environ["BENTOML_DO_NOT_TRACK"] = "True"
QUESTIONS = [
    "hi, where is my parcel? it should have been here on friday",
    "I was charged twice for order 4471!!",
    "can i talk to an actual person please",
]

console = Console()
stages = Table("stage", "seconds", "result", title="what the demo did", title_justify="left")


@contextmanager
def stage(name: str, result: str) -> Iterator[None]:
    """Time a stage; it is listed if it succeeds."""
    console.rule(name, align="left")
    start = time.perf_counter()
    yield
    stages.add_row(name, f"{time.perf_counter() - start:.1f}", result)


def main() -> None:
    with stage("fine-tune and evaluate", f"{RUN}/report.md"):
        run("tuneship", "train", str(RECIPE), "--output", str(RUN))
    with stage("export and prove", f"{BUNDLE}/"):
        export()
    with stage("verify the bundle", f"{BUNDLE}/parity.json"):
        run("tuneship", "verify", str(BUNDLE))
    tag = f"tuneship-service:{bento_version()}"
    with stage("build the Bento", tag):
        build_bento(tag)
    with stage("serve and predict", "POST /predict"):
        serve_and_predict(tag)
    console.print(stages)
    console.print(
        f"\nNext:  tuneship serve {BUNDLE} --port 3000\n"
        f"       make image BUNDLE={BUNDLE}   then   docker run -p 3000:3000 tuneship\n"
        f"The Bento is in {os.path.relpath(BENTO_HOME)} (BENTOML_HOME)."
    )


def export() -> None:
    """Export, unless there is a valid bundle of this run."""
    try:
        exported = Bundle.open(BUNDLE).manifest.model.get("checkpoint") == weight_hashes(Run.open(RUN))
    except BundleError:
        exported = False
    if exported:
        console.print(f"{BUNDLE} is this run's already")
    else:
        run("tuneship", "export", str(RUN), "--output", str(BUNDLE))


def bento_version() -> str:
    """A hash of the bundle, the server's code and its packages."""
    content = hashlib.sha256(Bundle.open(BUNDLE).digest.encode())
    for path in [*sorted(Path("serving").rglob("*.[bph][iyt]*")), Path("requirements.txt"), Path("bentofile.yaml")]:
        if path.is_file() and "__pycache__" not in path.parts:
            content.update(path.read_bytes())
    return content.hexdigest()[:12]


def build_bento(tag: str) -> None:
    """Copy the bundle to ./bundle and build, unless this Bento exists."""
    if (BENTO_HOME / "bentos" / tag.replace(":", "/")).is_dir():
        console.print(f"{tag} is built already")
        return
    BENTO_HOME.mkdir(parents=True, exist_ok=True)
    shutil.rmtree("bundle", ignore_errors=True)
    shutil.copytree(BUNDLE, "bundle")
    run("bentoml", "build", "--version", tag.partition(":")[2], "--output", "tag")


def serve_and_predict(tag: str) -> None:
    """Start the Bento, send the questions and print the answers."""
    port = free_port()
    url, body = f"http://127.0.0.1:{port}/predict", json.dumps({"inputs": QUESTIONS, "parameters": {"top_k": 2}})
    command = _command("bentoml", "serve", tag, "--port", str(port))
    try:
        with spawned("the Bento", command, log=Path("build/demo.log")) as child:
            wait_ready(child, port, limit=60)
            print_command(f"curl {url} -H 'Content-Type: application/json' \\\n    -d '{body}'")
            with urlopen(Request(url, body.encode(), {"Content-Type": "application/json"}), timeout=30) as response:
                answers = json.load(response)
    except MeasurementError as error:
        sys.exit(str(error))
    for text, answer in zip(QUESTIONS, answers, strict=True):
        scores = "  ".join(f"{each['label']} {each['score']:.1%}" for each in answer)
        console.print(f"{text}\n  → [green]{scores}[/]")


def run(*arguments: str) -> None:
    """Print a command and run it; the demo ends if it fails."""
    print_command(shlex.join(arguments))
    status = subprocess.run(_command(*arguments), check=False).returncode
    if status:
        sys.exit(f"the demo stops here: {arguments[0]} {arguments[1]} failed with status {status}")


def print_command(command: str) -> None:
    console.print(f"[bold]$ {command}[/]", highlight=False, soft_wrap=True)


def _command(name: str, *arguments: str) -> list[str]:
    """The command beside this Python, whether or not its folder is in PATH."""
    return [str(Path(sys.executable).parent / name), *arguments]


if __name__ == "__main__":
    main()
