"""Logs: one line a message, no user text unless the settings ask for it."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tokenizers import Encoding

from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.observability.log_queue import QueueHandler
from serving.observability.logs import JsonFormatter, TextFormatter, redact, set_up_logs
from serving.settings.log_settings import LogSettings
from serving.tasks.base import Encoded, Logits

TEXT = "my account is DE89 3704"


class Leaky(Predictor):
    """A predictor whose engine fails and repeats the text it failed on."""

    def run_batch(self, windows: Sequence[Encoding], length: int = 0) -> list[Logits]:
        """Fail."""
        raise RuntimeError(f"cannot run {TEXT!r} of {TEXT}\nERROR forged line")


class Repeating(Predictor):
    """A predictor whose engine fails and repeats all that was ever asked."""

    def encode(self, items: Sequence[Any], *options: Any) -> list[Encoded]:
        """As ever, and remembered."""
        vars(self).setdefault("asked", []).extend(items)
        return super().encode(items, *options)

    def run_slice(self, windows: Sequence[Encoding]) -> list[Logits]:
        """Fail."""
        raise RuntimeError(f"cannot run {vars(self)['asked']!r}")


class Flushed(io.StringIO):
    """Has every line that was logged before it is looked at."""

    def getvalue(self) -> str:
        for handler in logging.getLogger().handlers:
            handler.flush()
        return super().getvalue()


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the logs go meanwhile; all loggers are afterwards as they were."""
    root, loggers = logging.getLogger(), [*logging.root.manager.loggerDict]
    before = {name: (lg.handlers[:], lg.propagate, lg.level) for name in loggers for lg in [logging.getLogger(name)]}
    handlers, level = root.handlers[:], root.level
    yield Flushed()
    for handler in root.handlers:
        handler.close() if isinstance(handler, QueueHandler) else None
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    for name, (own, propagate, old) in before.items():
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = own, propagate
        logger.setLevel(old)


def lines_of(bundle: Path, stream: io.StringIO, predictor: type[Predictor] = Predictor, **log: Any) -> list[str]:
    """What is logged of one request."""
    chosen = LogSettings(**{"format": "json", "requests": True, **log})
    set_up_logs(chosen, stream)
    with TestClient(create_app(lambda: predictor(Bundle.open(bundle)), log=chosen)) as client:
        client.post("/predict?secret=1", json={"inputs": [TEXT, "stop"]}, headers={"X-Request-ID": "mine"})
    return [line for line in stream.getvalue().splitlines() if "mine" in line]


def test_request_line(tiny_bundle: Path, stream: io.StringIO, predictor: Predictor) -> None:
    """A request's line is a JSON object with exactly these fields, and no text of the caller's."""
    (line,) = lines_of(tiny_bundle, stream)
    content = json.loads(line)
    assert content.pop("time").endswith("Z")
    assert 0 < content.pop("seconds") < 60
    assert content == {
        "level": "info", "logger": "tuneship.access", "message": "POST /predict 200", "request_id": "mine",
        "method": "POST", "route": "/predict", "status": 200, "model": predictor.manifest.name,
        "tokens": sum(each.tokens for each in predictor.encode([TEXT, "stop"])),
    }  # fmt: skip
    assert "DE89" not in stream.getvalue()
    assert "secret" not in stream.getvalue()


def test_tokens_of_an_explanation(tiny_bundle: Path, stream: io.StringIO, predictor: Predictor) -> None:
    """An explanation's tokens are those of its input and of every row it ran."""
    set_up_logs(LogSettings(format="json"), stream)
    log = LogSettings(format="json", requests=True)
    with TestClient(create_app(lambda: Predictor.open(tiny_bundle), log=log)) as client:
        rows = client.post("/explain", json={"inputs": TEXT}).json()["rows"]
    (line,) = (line for line in stream.getvalue().splitlines() if "POST /explain" in line)
    (encoded,) = predictor.encode([TEXT])
    assert json.loads(line)["tokens"] == encoded.tokens * (1 + rows)


def test_inputs_and_labels(tiny_bundle: Path, stream: io.StringIO, predictor: Predictor) -> None:
    """Inputs and labels are logged where the settings ask for them."""
    (line,) = lines_of(tiny_bundle, stream, inputs=True, labels=True)
    assert json.loads(line)["inputs"] == [TEXT, "stop"]
    assert json.loads(line)["labels"] == [answer[0]["label"] for answer in predictor.predict([TEXT, "stop"])]


def test_no_request_line_by_default(tiny_bundle: Path, stream: io.StringIO) -> None:
    """By default requests are not logged."""
    assert lines_of(tiny_bundle, stream, format="text", requests=False) == []


@pytest.mark.parametrize("chosen", ["text", "json"])
def test_a_failure_is_redacted(tiny_bundle: Path, stream: io.StringIO, chosen: str) -> None:
    """A failure's traceback is logged without the caller's text, and no line of it looks new."""
    lines_of(tiny_bundle, stream, Leaky, format=chosen, requests=False)
    logged = stream.getvalue()
    assert "RuntimeError: cannot run" in logged
    assert "DE89" not in logged
    assert not any(line.startswith(("ERROR", "forged")) for line in logged.splitlines())


FIRST, SECOND = "my account is DE89 3704", 'it\'s "under" Grace'
PAIR = {"text": FIRST, "text_pair": SECOND}
QUESTION = {"question": FIRST, "context": SECOND}
TENSORS = [{"name": name, "shape": [1], "datatype": "BYTES", "data": [text]} for name, text in PAIR.items()]


@pytest.mark.parametrize(
    ("toy", "path", "body"),
    [
        ("text pairs", "/predict", {"inputs": PAIR}),
        ("text pairs", "/tei/predict", {"inputs": [FIRST, SECOND]}),
        ("text pairs", "/explain", {"inputs": PAIR}),
        ("text pairs", "/v2/models/run/infer", {"inputs": TENSORS}),
        ("question-answering", "/predict", {"inputs": [QUESTION]}),
        ("question-answering", "/explain", {"inputs": QUESTION}),
        ("text-generation", "/v1/completions", {"prompt": [FIRST, SECOND]}),
        ("text-generation", "/v1/completions", {"prompt": [FIRST, SECOND], "stream": True}),
    ],
)
def test_every_protocol_is_redacted(
    task_bundle: Callable[[str], Path], stream: io.StringIO, toy: str, path: str, body: dict[str, Any]
) -> None:
    """In no protocol does a failure's traceback show the caller's texts."""
    set_up_logs(LogSettings(format="json"), stream)
    with TestClient(create_app(lambda: Repeating(Bundle.open(task_bundle(toy)))), raise_server_exceptions=False) as c:
        assert c.post(path, json=body).status_code == 500
    assert "RuntimeError: cannot run [" in stream.getvalue()
    assert "DE89" not in stream.getvalue()
    assert "Grace" not in stream.getvalue()


def test_a_failure_with_inputs(tiny_bundle: Path, stream: io.StringIO) -> None:
    """With ``inputs`` tracebacks show them."""
    lines_of(tiny_bundle, stream, Leaky, inputs=True)
    assert "DE89" in stream.getvalue()


HARD = "a\nb\rc\u2028d\u2029e\x85f\x1b[31mg\x00h\u202ei\tj"


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
@given(text=st.text(max_size=80) | st.just(HARD))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_line(formatter: logging.Formatter, text: str) -> None:
    """Any message and field stay on one line without control characters."""
    record = logging.LogRecord("tuneship", logging.INFO, "", 0, "%s", (text,), None)
    record.fields = {"inputs": [text]}
    line = formatter.format(record)
    assert len(line.splitlines()) == 1
    assert line.isprintable() or not any(ord(c) < 32 or 126 < ord(c) < 160 for c in line)
    if isinstance(formatter, JsonFormatter):
        assert json.loads(line)["message"] == text


def test_a_traceback_is_indented() -> None:
    """In the text format a traceback is indented."""
    try:
        raise ValueError("first\n2026-01-01T00:00:00.000Z info forged")
    except ValueError:
        record = logging.LogRecord("tuneship", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    first, *rest = TextFormatter().format(record).splitlines()
    assert first.endswith("error failed")
    assert all(line.startswith("    | ") for line in rest)


def test_all_in_one_format(stream: io.StringIO) -> None:
    """uvicorn's lines and Python's warnings have the same format."""
    logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
    set_up_logs(LogSettings(format="json"), stream)
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old\nway", stacklevel=1)
    logging.getLogger("tuneship").info("ready")
    logging.getLogger("other").info("chatter")
    contents = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [content["logger"] for content in contents] == ["uvicorn.error", "py.warnings", "tuneship"]


def test_both_texts_of_a_pair_are_redacted() -> None:
    """A very short text is not: it would blank out half the traceback."""
    assert redact([("question?", "context"), "ab"]) == {"redacted": ["question?", "context"]}


def test_settings() -> None:
    """Variables set the options; JSON logs requests by default."""
    assert LogSettings.from_environment({}) == LogSettings()
    assert LogSettings.from_environment({"TUNESHIP_LOG_FORMAT": "json"}).requests
    assert not LogSettings.from_environment({"TUNESHIP_LOG_FORMAT": "json", "TUNESHIP_LOG_REQUESTS": "0"}).requests
    chosen = LogSettings.from_environment({"TUNESHIP_LOG_INPUTS": "1", "TUNESHIP_LOG_LABELS": "true"})
    assert (chosen.inputs, chosen.labels, chosen.requests) == (True, True, False)


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [("TUNESHIP_LOG_FORMAT", "xml", "text, json"), ("TUNESHIP_LOG_INPUTS", "maybe", "1 and 0")],
)
def test_bad_settings(name: str, value: str, accepted: str) -> None:
    """A malformed variable is an error that names what is accepted."""
    with pytest.raises(InputError, match=f"{name} is '{value}'; accepted are:? {accepted}"):
        LogSettings.from_environment({name: value})
