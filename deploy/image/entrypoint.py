"""Runs `docker run tuneship [MODE]`, without a shell. On AWS Lambda the default mode is lambda."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

Arguments = list[str]

HELP = """\
docker run IMAGE [MODE] [OPTIONS]

  serve      the HTTP server, without a mode too: the page at /, the model card
             at /card, every endpoint at /openapi.json
  bentoml    the same in BentoML's server
  lambda     AWS Lambda's runtime; without a mode inside Lambda
  verify     check the bundle's files and repeat its golden answers
  card       print the model card: what was trained, measured and proven
  explain    show the words that an answer rests on: explain "a text"
  predict    answer files: predict --input FILE --output FILE
  tuneship   a command of Tuneship that a server has: tuneship --help

MODE --help shows its options. Settings are TUNESHIP_ variables.
"""


def serve(arguments: Arguments) -> Arguments:
    return ["-m", "tuneship", "serve", "--host", "0.0.0.0", *arguments]


def bentoml(arguments: Arguments) -> Arguments:
    from serving.settings.platforms import listening_port

    service, address = "serving.service:Tuneship", ["--host", "0.0.0.0", "--port", str(listening_port())]
    return ["-m", "bentoml", "serve", service, *address, *arguments]


def tuneship(arguments: Arguments) -> Arguments:
    return ["-m", "tuneship", *arguments]


def of_bundle(verb: str, arguments: Arguments) -> Arguments:
    return tuneship([verb, bundle(), *arguments])


def bundle() -> str:
    return os.environ.get("TUNESHIP_BUNDLE", "/app/bundle")


MODES: Mapping[str, Callable[[Arguments], Arguments]] = {
    "serve": serve,
    "bentoml": bentoml,
    **{verb: partial(of_bundle, verb) for verb in ("verify", "explain", "predict")},
    "tuneship": tuneship,
}
OWN_MODES = ("lambda", "card", "help")
"""Without a process of their own."""


def main(mode: str = "serve", *arguments: str) -> None:
    if mode == "serve" and os.environ.get("AWS_LAMBDA_RUNTIME_API"):
        mode = "lambda"
    if mode in ("help", "--help", "-h"):
        print(HELP, end="")
    elif mode == "card":
        print_card()
    elif mode == "lambda":
        run_lambda(*arguments)
    elif mode in MODES:
        os.execve(sys.executable, [sys.executable, *MODES[mode](list(arguments))], environment(mode))
    else:
        run_program(mode, arguments)


def print_card() -> None:
    try:
        print(Path(bundle(), "README.md").read_text(encoding="utf-8"), end="")
    except OSError as error:
        raise SystemExit(f"{bundle()} has no model card: {error.strerror}; set TUNESHIP_BUNDLE") from error


def run_lambda(*arguments: str) -> None:
    """In this process: a second start of Python would delay the first answer."""
    sys.argv = ["aws_lambda", *arguments]
    runpy.run_module("serving.entrypoints.aws_lambda", run_name="__main__", alter_sys=True)


def environment(mode: str) -> dict[str, str]:
    """BentoML needs files for sockets and counters; with a read-only root they go to shared memory."""
    variables = dict(os.environ)
    if mode == "bentoml":
        if not os.access(variables.get("TMPDIR", "/tmp"), os.W_OK):
            variables["TMPDIR"] = "/dev/shm"
        variables.setdefault("BENTOML_HOME", f"{variables.get('TMPDIR', '/tmp')}/bentoml")
    return variables


def run_program(name: str, arguments: tuple[str, ...]) -> None:
    try:
        os.execvp(name, [name, *arguments])
    except OSError as error:
        raise SystemExit(
            f"{name}: {error.strerror}. Modes: {', '.join([*MODES, *OWN_MODES])}; or a program of the image"
        ) from error


if __name__ == "__main__":
    main(*sys.argv[1:])
