"""Runs `docker run tuneship [MODE]`, without a shell. On AWS Lambda the default mode is lambda."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Mapping

Arguments = list[str]


def serve(arguments: Arguments) -> Arguments:
    return ["-m", "tuneship", "serve", "--host", "0.0.0.0", *arguments]


def bentoml(arguments: Arguments) -> Arguments:
    from serving.settings.platforms import listening_port

    service, address = "serving.service:Tuneship", ["--host", "0.0.0.0", "--port", str(listening_port())]
    return ["-m", "bentoml", "serve", service, *address, *arguments]


def verify(arguments: Arguments) -> Arguments:
    return ["-m", "tuneship", "verify", os.environ.get("TUNESHIP_BUNDLE", "/app/bundle"), *arguments]


MODES: Mapping[str, Callable[[Arguments], Arguments]] = {"serve": serve, "bentoml": bentoml, "verify": verify}


def main(mode: str = "serve", *arguments: str) -> None:
    if mode == "serve" and os.environ.get("AWS_LAMBDA_RUNTIME_API"):
        mode = "lambda"
    if mode == "lambda":
        run_lambda(*arguments)
    elif mode in MODES:
        os.execve(sys.executable, [sys.executable, *MODES[mode](list(arguments))], environment(mode))
    else:
        run_program(mode, arguments)


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
            f"{name}: {error.strerror}. Modes: {', '.join([*MODES, 'lambda'])}; or a program of the image"
        ) from error


if __name__ == "__main__":
    main(*sys.argv[1:])
