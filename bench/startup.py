"""The time until `tuneship serve` is ready, and until the Lambda handler's first answer."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.figures import Figure, median_of
from bench.process import MeasurementError, free_port, spawned, wait_ready
from bench.subject import VARIANTS, Subject
from bench.systems import tuneship_serve
from serving.settings.settings import LAMBDA_MB_PER_CPU
from tests.serving.runtime_api import RuntimeApi

ANSWER_SECONDS = 20.0
LAMBDA = (sys.executable, "-m", "awslambdaric", "serving.lambda_handler.handler")


def measure_startup(subject: Subject, repeats: int, logs: Path) -> list[Figure]:
    """Seconds to the first 200 of ``/readyz``, with files in the page cache."""
    return [
        median_of(
            f"tuneship serve, {variant}: ready in",
            [_seconds_to_ready(subject.bundles[variant], logs / f"startup-{variant}.log") for _ in range(repeats)],
            "s",
        )
        for variant in VARIANTS
    ]


def measure_lambda(subject: Subject, repeats: int, logs: Path) -> list[Figure]:
    """Seconds from process start, with the real runtime loop, the int8 bundle and the memory of one vCPU."""
    samples = [_seconds_to_answer(subject, logs / "lambda.log") for _ in range(repeats)]
    note = f"awslambdaric on one core, {LAMBDA_MB_PER_CPU} MB of function memory, int8, files in the page cache"
    return [median_of("Lambda handler: first answer in", samples, "s", note)]


def _seconds_to_ready(bundle: Path, log: Path) -> float:
    port = free_port()
    with spawned("tuneship serve", tuneship_serve(bundle, port), log=log) as child:
        return wait_ready(child, port)


def _seconds_to_answer(subject: Subject, log: Path) -> float:
    environment = {
        "TUNESHIP_BUNDLE": str(subject.bundles["int8"].absolute()),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(LAMBDA_MB_PER_CPU),
    }
    cpu = {min(os.sched_getaffinity(0))}
    with RuntimeApi() as api:
        environment["AWS_LAMBDA_RUNTIME_API"] = api.address
        with spawned("awslambdaric", LAMBDA, log=log, environment=environment, cpus=cpu) as child:
            try:
                answer = api.invoke(_function_url_event(subject.texts[0]), timeout=ANSWER_SECONDS)
            except TimeoutError as error:
                child.require_alive()
                raise MeasurementError(child.explain(f"gave no answer within {ANSWER_SECONDS:.0f} s")) from error
            seconds = time.monotonic() - child.started
    if _best_label(answer.payload) != subject.answers("int8")[0]:
        raise MeasurementError(f"the Lambda handler did not answer as the predictor does: {answer.payload!r:.200}")
    return seconds


def _function_url_event(text: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": "/predict",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/predict"}, "stage": "$default"},
        "body": json.dumps({"inputs": text}),
        "isBase64Encoded": False,
    }


def _best_label(payload: Any) -> Any:
    if not isinstance(payload, dict) or payload.get("statusCode") != 200:
        return None
    return json.loads(payload["body"])[0][0]["label"]
