"""Asks a running server: for its information, and for answers in the Hugging Face shape."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlsplit

from serving.errors import InputError
from serving.protocols.open_inference.infer import WHOLE

SECONDS = 60
"""How long one request may take."""

TRIES = 5
LONGEST_WAIT = 30


class RemoteServer:
    """A server by its address: ``https://host``, or that of one model among several, ``https://host/models/NAME``."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        """Raises InputError unless the address is one of HTTP."""
        if not _is_address(url):
            raise InputError(f"{url!r} is no address of a server; one looks like http://127.0.0.1:3000", field="--url")
        self.url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    def info(self) -> dict[str, Any]:
        """What ``GET /info`` tells; raises InputError where that is not a Tuneship server's."""
        found = self._send("/info")
        if not isinstance(found, dict) or not {"bundle_sha256", "variant"} <= found.keys():
            raise InputError(f"{self.url}/info is not that of a Tuneship server", field="--url")
        return found

    def ask(self, inputs: list[Any]) -> list[Any]:
        """The answers to inputs, in order; raises InputError where the server refuses or cannot be reached."""
        found = self._send("/predict", {"inputs": inputs})
        if not isinstance(found, list) or len(found) != len(inputs):
            raise InputError(f"{self.url}/predict gave {str(found)[:200]!r} for {len(inputs)} inputs", field="--url")
        return found

    def infer(self, model: str, inputs: list[Any]) -> list[Any]:
        """The same by the Open Inference Protocol, of the model of that name; raises InputError."""
        root = self.url.partition("/models/")[0]
        outputs = self._post(f"{root}/v2/models/{quote(model, safe='')}/infer", request_of(inputs))["outputs"]
        return [json.loads(each) for each in outputs[0]["data"]]

    def _send(self, path: str, content: Any = None) -> Any:
        return self._post(self.url + path, content)

    def _post(self, url: str, content: Any) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(url, body, self._headers)
        for last in [False] * (TRIES - 1) + [True]:
            try:
                with urllib.request.urlopen(request, timeout=SECONDS) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                if last or error.code not in (429, 503):
                    raise InputError(_refusal(request.full_url, error), field="--url") from error
                time.sleep(min(LONGEST_WAIT, int(error.headers.get("Retry-After") or 1)))
            except OSError as error:
                raise InputError(f"{request.full_url} cannot be reached: {error}", field="--url") from error
            except ValueError as error:
                raise InputError(f"{request.full_url} gave no JSON: {error}", field="--url") from error
        raise AssertionError("the last try returns or raises")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # such as a bracket that is not closed, or a port that is no number
        return False


def request_of(inputs: list[Any]) -> dict[str, Any]:
    """The ``infer`` request of inputs: a tensor for each of their parts, and whole answers wanted."""
    columns = {name: [each[name] for each in inputs] for name in inputs[0]} if isinstance(inputs[0], dict) else {}
    return {
        "inputs": [
            {"name": name, "shape": [len(inputs)], "datatype": "BYTES", "data": data}
            for name, data in (columns or {"text": inputs}).items()
        ],
        "outputs": [{"name": WHOLE}],
    }


def _refusal(url: str, error: urllib.error.HTTPError) -> str:
    return f"{url} answered {error.code}: {error.read(500).decode(errors='replace')}"
