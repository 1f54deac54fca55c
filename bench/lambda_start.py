"""The time until the Lambda handler's first answer, with the real runtime loop."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.figures import Figure, median_of
from bench.process import MeasurementError, spawned
from bench.subject import Subject
from serving.settings.settings import LAMBDA_MB_PER_CPU
from tests.serving.runtime_api import RuntimeApi

ANSWER_SECONDS = 20.0
COMMAND = (sys.executable, "-m", "awslambdaric", "serving.lambda_handler.handler")


def measure_lambda(subject: Subject, repeats: int, logs: Path) -> list[Figure]:
    samples = [_seconds_to_answer(subject, logs / "lambda.log") for _ in range(repeats)]
    note = f"awslambdaric on one core, {LAMBDA_MB_PER_CPU} MB of function memory, int8, files in the page cache"
    return [median_of("Lambda handler: first answer in", samples, "s", note)]


def function_url_event(text: str) -> dict[str, Any]:
    """A POST to /predict."""
    return {
        "version": "2.0",
        "rawPath": "/predict",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/predict"}, "stage": "$default"},
        "body": json.dumps({"inputs": text}),
        "isBase64Encoded": False,
    }


def _seconds_to_answer(subject: Subject, log: Path) -> float:
    environment = {
        "TUNESHIP_BUNDLE": str(subject.bundles["int8"].absolute()),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(LAMBDA_MB_PER_CPU),
    }
    cpu = {min(os.sched_getaffinity(0))}
    with RuntimeApi() as api:
        environment["AWS_LAMBDA_RUNTIME_API"] = api.address
        with spawned("awslambdaric", COMMAND, log=log, environment=environment, cpus=cpu) as child:
            try:
                answer = api.invoke(function_url_event(subject.texts[0]), timeout=ANSWER_SECONDS)
            except TimeoutError as error:
                child.require_alive()
                raise MeasurementError(child.explain(f"gave no answer within {ANSWER_SECONDS:.0f} s")) from error
            seconds = time.monotonic() - child.started
    if _best_label(answer.payload) != subject.answers("int8")[0]:
        raise MeasurementError(f"the Lambda handler did not answer as the predictor does: {answer.payload!r:.200}")
    return seconds


def _best_label(payload: Any) -> str | None:
    if not isinstance(payload, dict) or payload.get("statusCode") != 200:
        return None
    label: str = json.loads(payload["body"])[0][0]["label"]
    return label
