"""docs/errors.md: every HTTP status that the server's code answers with, found in the code, and what it means.

    python -m docsite.errors_page > docs/errors.md

Statuses and their `error_type` are found by reading `serving/`; a status without a meaning here, and a meaning without
a status there, is an error.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping

from docsite.pages import ROOT
from serving.entrypoints.grpc_api.service import STATUS_CODES
from serving.http.errors import STATUS

INTRODUCTION = """\
# Errors

An error is `{"error": message, "error_type": kind}`; under `/v1` it has OpenAI's shape,
`{"error": {"message": …, "type": kind, "param": null, "code": null}}`. The message says what was found and what is
accepted. gRPC answers with the code in the last column and the same message.

This page is generated from the server's code: a status that is not here is not one of Tuneship's, but of something
before it, such as a load balancer.
"""

ENDING = """\
## Which to send again

- **429 and 503** tell a time in `Retry-After`, in seconds (but for the 503 of health checks). Send the request again
  after it, to the same server or to another.
- **504** may be sent again with a longer `Request-Timeout`, or with fewer texts.
- **408** says that the network or the client was slow. A request that is sent again begins anew.
- **500** is a fault of the server. The log has its trace under the request's `X-Request-Id`.
- **Every other status** stays as it is until the request changes.

On the command line an error is one message on standard error, without a traceback, and exit status 1.
"""

MEANINGS: Mapping[int, str] = {
    400: "the body is not JSON or not UTF-8 (a byte order mark is skipped); the request is not valid HTTP, or names no"
    " Host or two; a tensor's header is no number",
    401: "the API key is missing or wrong; `WWW-Authenticate` says which",
    404: "there is no such path, model, version of a model or batch; explanations are switched off",
    405: "the path does not take this method; `Allow` names those it takes",
    406: "`/invocations` is asked for neither JSON nor JSON lines",
    408: "the headers or the body took too long to arrive",
    409: "the batch was cancelled (BentoML's background batches)",
    413: "more inputs, characters, bytes, tokens or JSON values than a request may hold, or more memory than its"
    " answers may have; on Lambda, a larger answer than AWS returns",
    415: "not the accepted `Content-Type`, or a compressed body",
    421: "a host name that the server does not answer under (`TUNESHIP_ALLOWED_HOSTS`)",
    422: "an empty text, a wrong type, an unknown key, half of a character (a lone surrogate), a text that must not be"
    " truncated and is too long",
    429: "the queue, the bodies in hand or the number of connections are at their limit, or the request would miss its"
    " deadline",
    431: "a head of more than 64 kB or 128 headers, or as many bytes around a chunk of a body (extensions, trailers)",
    499: "the caller went away; only the log and the metrics see it",
    500: "the server failed; the log has the trace under the request's id",
    503: "the server is starting or stopping, or its engine no longer answers",
    504: "the deadline passed before the request's turn, or while its texts were generated; the message says what was"
    " done",
}

REFUSING = {"HTTPException": "http", "_refuse": "connection", "error_response": None, "_error": None}
"""Calls whose first argument is a status, and the kind that each has; None: it is the second argument."""


def errors_page() -> str:
    """Raises ValueError where code and MEANINGS differ."""
    found = statuses()
    if differing := found.keys() ^ MEANINGS.keys():
        raise ValueError(f"docsite/errors_page.py: statuses of the code and of MEANINGS differ: {sorted(differing)}")
    rows = [
        f"| {status} | {', '.join(f'`{kind}`' for kind in sorted(found[status]))} | {MEANINGS[status]} |"
        f" {_grpc(status)} |"
        for status in sorted(found)
    ]
    table = "\n".join(["| status | `error_type` | when | gRPC |", "| --- | --- | --- | --- |", *rows])
    return f"{INTRODUCTION}\n{table}\n\n{ENDING}"


def statuses() -> dict[int, set[str]]:
    """The kinds of each status, in the code of `serving/`."""
    found: dict[int, set[str]] = defaultdict(set)
    for status, kind in STATUS.values():
        found[status].add(kind)
    for path in sorted((ROOT / "serving").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                for status, kind in _refusals(node):
                    found[status] |= {kind} if kind else set()
    return found


def _refusals(call: ast.Call) -> Iterator[tuple[int, str]]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    constants = [getattr(argument, "value", None) for argument in call.args]
    for keyword in call.keywords:
        if name == "Response" and keyword.arg == "status_code" and isinstance(keyword.value, ast.Constant):
            yield int(str(keyword.value.value)), ""
    if name in REFUSING and constants and isinstance(constants[0], int) and constants[0] >= 400:
        yield constants[0], REFUSING[name] or str(constants[1])


def _grpc(status: int) -> str:
    if status in (405, 406, 409, 415, 421, 431):
        return ""
    code = STATUS_CODES.get(status)
    return f"`{code.name if code else 'INTERNAL'}`"


if __name__ == "__main__":
    sys.stdout.write(errors_page())
