"""`make demo`: the whole road on the quickstart data, with the public commands, each shown as it is run.

What an earlier demo made and is still good is used again. The server it starts is stopped at the end.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.process import free_port
from export.bundle.manifest import checkpoint_hashes
from serving.bundle.bundle import Bundle
from serving.errors import BundleError
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
READY_SECONDS = 60

console = Console()


@dataclass
class Journal:
    """How long each stage took and what it left."""

    stages: list[tuple[str, float, str]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, artifact: str) -> Iterator[None]:
        """Time a stage; it is recorded when it ends well."""
        console.rule(name, align="left")
        start = time.perf_counter()
        yield
        self.stages.append((name, time.perf_counter() - start, artifact))

    def show(self) -> None:
        """Print the stages as a table."""
        table = Table(title="what the demo did", title_justify="left")
        table.add_column("stage")
        table.add_column("seconds", justify="right")
        table.add_column("result")
        for name, seconds, artifact in self.stages:
            table.add_row(name, f"{seconds:.1f}", artifact)
        console.print(table)


def main() -> None:
    """Train, export, verify, build the Bento, serve it, ask it, stop it."""
    journal = Journal()
    with journal.stage("fine-tune and evaluate", f"{RUN}/report.md"):
        run("tuneship", "train", str(RECIPE), "--output", str(RUN))
    with journal.stage("export and prove", f"{BUNDLE}/"):
        export()
    with journal.stage("verify the bundle", f"{BUNDLE}/parity.json"):
        run("tuneship", "verify", str(BUNDLE))
    tag = f"tuneship-service:{bento_version()}"
    with journal.stage("build the Bento", tag):
        build_bento(tag)
    with journal.stage("serve and ask", "POST /predict"):
        serve_and_ask(tag)
    journal.show()
    console.print(
        f"\nNext:  tuneship serve {BUNDLE} --port 3000\n"
        f"       make image BUNDLE={BUNDLE}   then   docker run -p 3000:3000 tuneship\n"
        f"The Bento lies in {os.path.relpath(BENTO_HOME)} (BENTOML_HOME)."
    )


def export() -> None:
    """Export, unless the bundle there is sound and of this very run."""
    if _is_of_run():
        console.print(f"{BUNDLE} is this run's already")
    else:
        run("tuneship", "export", str(RUN), "--output", str(BUNDLE))


def _is_of_run() -> bool:
    try:
        return Bundle.open(BUNDLE).manifest.model.get("checkpoint") == checkpoint_hashes(Run.open(RUN))
    except BundleError:
        return False


def bento_version() -> str:
    """Changes when the bundle, the server's code or its packages do."""
    content = hashlib.sha256(Bundle.open(BUNDLE).digest.encode())
    for path in [*sorted(Path("serving").rglob("*.[ph][yt]*")), Path("requirements.txt"), Path("bentofile.yaml")]:
        if path.is_file() and "__pycache__" not in path.parts:
            content.update(path.read_bytes())
    return content.hexdigest()[:12]


def build_bento(tag: str) -> None:
    """Put the bundle where the Bento takes it from, and build, unless that Bento is there."""
    if (BENTO_HOME / "bentos" / tag.replace(":", "/")).is_dir():
        console.print(f"{tag} is built already")
        return
    BENTO_HOME.mkdir(parents=True, exist_ok=True)
    shutil.rmtree("bundle", ignore_errors=True)
    shutil.copytree(BUNDLE, "bundle")
    run("bentoml", "build", "--version", tag.partition(":")[2], "--output", "tag")


def serve_and_ask(tag: str) -> None:
    """Start the Bento, send the questions, print the answers, stop it."""
    port = free_port()
    with _server(tag, port):
        body = {"inputs": QUESTIONS, "parameters": {"top_k": 2}}
        console.print(
            f"[bold]$ curl http://127.0.0.1:{port}/predict -H 'Content-Type: application/json' \\\n"
            f"    -d '{json.dumps(body)}'[/]",
            highlight=False,
            soft_wrap=True,
        )
        for text, answer in zip(QUESTIONS, _post(f"http://127.0.0.1:{port}/predict", body), strict=True):
            scores = "  ".join(f"{each['label']} {each['score']:.1%}" for each in answer)
            console.print(f"{text}\n  → [green]{scores}[/]")


@contextmanager
def _server(tag: str, port: int) -> Iterator[None]:
    command = _command("bentoml", "serve", tag, "--port", str(port))
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_until_ready(process, port)
            yield
        except TimeoutError:
            log.seek(0)
            sys.exit(f"the Bento did not get ready; its last words:\n{log.read()[-2000:].decode(errors='replace')}")
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except OSError:  # not listening yet, or not ready yet
            time.sleep(0.1)
    raise TimeoutError


def _post(url: str, body: object) -> list[list[dict[str, float]]]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        answers: list[list[dict[str, float]]] = json.load(response)
    return answers


def run(*arguments: str) -> None:
    """Show a command and run it; the demo ends where it fails."""
    console.print(f"[bold]$ {shlex.join(arguments)}[/]", highlight=False, soft_wrap=True)
    finished = subprocess.run(_command(*arguments), check=False)
    if finished.returncode:
        sys.exit(f"the demo stops here: {arguments[0]} {arguments[1]} failed with status {finished.returncode}")


def _command(name: str, *arguments: str) -> list[str]:
    """The command as installed beside this Python, whether or not its folder is on the PATH."""
    return [str(Path(sys.executable).parent / name), *arguments]


if __name__ == "__main__":
    main()
