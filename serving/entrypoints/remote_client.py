"""A client of a running server."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlsplit

from serving.errors import InputError, UserError
from serving.protocols.open_inference.infer import ANSWER

TIMEOUT_SECONDS = 60
TRIES = 5
MAX_WAIT_SECONDS = 30


class RemoteServerError(UserError):
    """A server cannot be reached, refuses, or is not a Tuneship server."""


class RemoteServer:
    """A server's address, ``https://host``, or a model's, ``https://host/models/NAME``."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        """Raises InputError unless the address is HTTP's."""
        if not _is_http_url(url):
            raise InputError(f"{url!r} is no address of a server; one looks like http://127.0.0.1:3000", field="--url")
        self.url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    def info(self) -> dict[str, Any]:
        """``GET /info``; raises RemoteServerError."""
        info = self._request(f"{self.url}/info")
        if not isinstance(info, dict) or not {"bundle_sha256", "variant"} <= info.keys():
            raise RemoteServerError(f"{self.url}/info is not that of a Tuneship server")
        return info

    def predict(self, inputs: list[Any]) -> list[Any]:
        """``POST /predict``; raises RemoteServerError."""
        answers = self._request(f"{self.url}/predict", {"inputs": inputs})
        if not isinstance(answers, list) or len(answers) != len(inputs):
            raise RemoteServerError(f"{self.url}/predict gave {str(answers)[:200]!r} for {len(inputs)} inputs")
        return answers

    def infer(self, model: str, inputs: list[Any]) -> list[Any]:
        """The same by the Open Inference Protocol; raises RemoteServerError."""
        host = self.url.partition("/models/")[0]
        outputs = self._request(f"{host}/v2/models/{quote(model, safe='')}/infer", infer_request(inputs))["outputs"]
        return [json.loads(each) for each in outputs[0]["data"]]

    def _request(self, url: str, content: Any = None) -> Any:
        """GET without ``content``, else POST; retries while the server is busy (429, 503)."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(url, body, self._headers)
        for attempt in range(1, TRIES + 1):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                if attempt == TRIES or error.code not in (429, 503):
                    detail = error.read(500).decode(errors="replace")
                    raise RemoteServerError(f"{url} answered {error.code}: {detail}") from error
                time.sleep(min(MAX_WAIT_SECONDS, int(error.headers.get("Retry-After") or 1)))
            except OSError as error:
                raise RemoteServerError(f"{url} cannot be reached: {error}") from error
            except ValueError as error:
                raise RemoteServerError(f"{url} did not answer with JSON: {error}") from error
        raise AssertionError("the last attempt returns or raises")


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # such as a bracket that is not closed, or a port that is no number
        return False


def infer_request(inputs: list[Any]) -> dict[str, Any]:
    """A tensor for each part of the inputs; the whole answers are requested."""
    columns = {name: [each[name] for each in inputs] for name in inputs[0]} if isinstance(inputs[0], dict) else {}
    return {
        "inputs": [
            {"name": name, "shape": [len(inputs)], "datatype": "BYTES", "data": data}
            for name, data in (columns or {"text": inputs}).items()
        ],
        "outputs": [{"name": ANSWER}],
    }
