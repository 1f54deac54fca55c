"""Seconds from a process' start to its first answer: the Lambda handler beside what others would put there."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figure, median_of
from bench.peers.checkpoint import export_checkpoint
from bench.peers.dynamic_int8 import quantize_to_int8
from bench.subject import Subject
from bench.systems import QUIET, bentoml_serve
from deploy.measurement.process import Child, MeasurementError, free_port, spawned
from serving.settings.settings import LAMBDA_MB_PER_CPU
from tests.serving.runtime_api import RuntimeApi

ANSWER_SECONDS = 180.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

OURS = "Lambda handler: first answer in"

Ask = Callable[[Child], str]
"""Waits for the first answer and gives its label."""


@dataclass(frozen=True)
class Start:
    """A system that is started; ``variant``'s predictor gives the right label."""

    name: str
    variant: str
    measure: Callable[[Path], tuple[float, str]]


def measure_coldstart(subject: Subject, repeats: int, logs: Path) -> list[Figure]:
    """In turns, each on one core, its files in the page cache."""
    starts = _starts(subject)
    for start in starts:
        _measure(start, subject, logs)
    rounds = [[_measure(start, subject, logs) for start in starts] for _ in range(repeats)]
    samples = dict(zip((start.name for start in starts), zip(*rounds, strict=True), strict=True))
    note = f"on one core, files in the page cache, as with {LAMBDA_MB_PER_CPU} MB of function memory"
    return [
        *(median_of(name, seconds, "s", note) for name, seconds in samples.items()),
        *(_ratio(name, samples[OURS], seconds) for name, seconds in samples.items() if name != OURS),
    ]


def _ratio(name: str, ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Of the same rounds."""
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    return Figure(f"{name}, of the Lambda handler's", statistics.median(ratios), "×", samples=tuple(ratios))


def _starts(subject: Subject) -> list[Start]:
    bundle, text = str(subject.bundles["int8"].absolute()), subject.texts[0]
    transformers = {"BENCH_CHECKPOINT": str(export_checkpoint(subject)), **ONE_THREAD, "HF_HUB_OFFLINE": "1"}
    checkpoint = {"BENCH_CHECKPOINT": str(subject.run.checkpoint.absolute()), **ONE_THREAD}
    onnxruntime = {"BENCH_MODEL": str(quantize_to_int8(subject)), **ONE_THREAD}
    ours = ("-m", "serving.entrypoints.aws_lambda")
    pipeline = ("-m", "awslambdaric", "bench.peers.lambda_pipeline.handler")
    return [
        Start(OURS, "int8", lambda log: _invoke(ours, {"TUNESHIP_BUNDLE": bundle}, text, log)),
        Start(
            "transformers + torch in Lambda's runtime", "fp32", lambda log: _invoke(pipeline, transformers, text, log)
        ),
        Start("BentoML + transformers", "fp32", lambda log: _serve("bentoml_transformers", checkpoint, text, log)),
        Start("BentoML + onnxruntime, int8", "fp32", lambda log: _serve("bentoml_onnxruntime", onnxruntime, text, log)),
    ]


def _measure(start: Start, subject: Subject, logs: Path) -> float:
    """Raises MeasurementError for a wrong answer, but for a peer's int8, whose labels may differ."""
    seconds, label = start.measure(logs / "coldstart.log")
    expected = subject.answers(start.variant)[0]
    if label != expected and "int8" not in start.name:
        raise MeasurementError(f"{start.name}: the first answer is {label!r}, the predictor's {expected!r}")
    return seconds


def _invoke(words: Sequence[str], environment: Mapping[str, str], text: str, log: Path) -> tuple[float, str]:
    """By a Runtime API."""
    with RuntimeApi() as api:
        variables = {
            **QUIET, **environment, "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(LAMBDA_MB_PER_CPU),
        }  # fmt: skip

        def ask(child: Child) -> str:
            running = lambda: child.process.poll() is None  # noqa: E731
            answer = api.invoke(_function_url_event(text), ANSWER_SECONDS, running).payload
            return _label(json.loads(answer["body"]))

        return _first_answer([sys.executable, *words], variables, ask, log)


def _serve(module: str, environment: Mapping[str, str], text: str, log: Path) -> tuple[float, str]:
    """By HTTP."""
    port = free_port()
    command = bentoml_serve(f"bench.peers.{module}:Classifier", port)
    return _first_answer(command, {**QUIET, **environment}, lambda child: _post(child, port, text), log)


def _first_answer(command: Sequence[str], variables: Mapping[str, str], ask: Ask, log: Path) -> tuple[float, str]:
    cpu = {min(os.sched_getaffinity(0))}
    with spawned(command[2], command, log=log, environment=variables, cpus=cpu) as child:
        try:
            label = ask(child)
        except (TimeoutError, KeyError, TypeError, ValueError) as error:
            child.require_alive()
            raise MeasurementError(child.explain(f"gave no answer: {type(error).__name__} {error}")) from error
        return time.monotonic() - child.started, label


def _post(child: Child, port: int, text: str) -> str:
    """Again and again until the server answers."""
    body = json.dumps({"texts": [text]})
    while time.monotonic() - child.started < ANSWER_SECONDS:
        child.require_alive()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        try:
            connection.request("POST", "/classify", body, {"content-type": "application/json"})
            response = connection.getresponse()
            if response.status == 200:
                return _label(json.loads(response.read()))
        except (OSError, http.client.HTTPException):  # it does not listen yet
            time.sleep(0.01)
        finally:
            connection.close()
    raise TimeoutError(f"no answer within {ANSWER_SECONDS:.0f} s")


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


def _label(answer: Any) -> str:
    """The best one's, of a list of lists or of a list."""
    first = answer[0]
    label: str = (first[0] if isinstance(first, list) else first)["label"]
    return label
