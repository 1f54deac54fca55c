"""AWS Lambda's way in: ``serving.lambda_handler.handler``. It never imports BentoML.

`serving.entrypoints.aws_lambda.events` tells which events it answers.
"""

from __future__ import annotations

import gc
import os
from typing import Any

from serving.entrypoints.aws_lambda.events import Event, parse_event
from serving.entrypoints.aws_lambda.function import Function
from serving.entrypoints.aws_lambda.replies import InvocationError
from serving.settings.settings import ServerSettings

__all__ = ["Function", "InvocationError", "handler", "parse_event", "start"]

_function: Function | None = None


def handler(event: Event, context: object) -> Any:
    """The entry point for ``awslambdaric``."""
    return start()(event, context)


def start() -> Function:
    """Loads the bundle once."""
    global _function
    if _function is None:
        _function = Function(ServerSettings.from_environment(), os.environ)
        gc.freeze()  # what is there now stays
        gc.enable()
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            from serving.entrypoints.aws_lambda.snapshot import register

            register(_function.app)
    return _function


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # load in Lambda's init phase, which has more CPU
    start()
