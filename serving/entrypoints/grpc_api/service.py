"""The Open Inference Protocol over gRPC: each call is translated to one of the REST surface within this process.

So keys, limits, deadlines, batching, metrics and logs are those of ``/v2``; a refusal's status becomes gRPC's.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import grpc
from starlette.types import ASGIApp

from serving.entrypoints.asgi_client import Call, Reply, send
from serving.entrypoints.grpc_api.messages import CHOICE, METHODS, SERVICE, message
from serving.errors import InputError, shorten
from serving.protocols.open_inference.options import BINARY, BINARY_OUTPUT
from serving.protocols.open_inference.tensors import BINARY_SIZE, LENGTH

HEADER_LENGTH = "inference-header-content-length"

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.CANCELLED,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""HTTP's to gRPC's; any other is INTERNAL. Past a limit is not RESOURCE_EXHAUSTED: to try again would not help."""

MOST_WORDS = 600
"""Characters of an error's text, each up to 12 bytes of metadata on the wire: clients take 8 KiB of that."""

TOLD = ("x-request-id", "server-timing", "retry-after")
"""Headers that come back as trailing metadata."""

CONTENTS = {"BYTES": "bytes_contents", "FP32": "fp32_contents", "INT64": "int64_contents"}

NONE: Mapping[str, str] = MappingProxyType({})

Context = Any  # grpc.aio.ServicerContext: grpcio has no types
Method = Callable[[Any, Context], Awaitable[Any]]


class Service:
    """The protocol's six methods over the app."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        """``host`` is the name that the app is asked under: no page of another site can speak gRPC."""
        self._app, self._host = app, host

    def handlers(self) -> grpc.GenericRpcHandler:
        """What a server is given."""
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                self._method(name),
                request_deserializer=message(f"{name}Request").FromString,
                response_serializer=message(f"{name}Response").SerializeToString,
            )
            for name in METHODS
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _method(self, name: str) -> Method:
        found: dict[str, Method] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._model_infer,
        }
        return found[name]

    async def _server_live(self, _: Any, context: Context) -> Any:
        return message("ServerLiveResponse")(live=(await self._call(context, "/v2/health/live")).status == 200)

    async def _server_ready(self, _: Any, context: Context) -> Any:
        return message("ServerReadyResponse")(ready=(await self._call(context, "/v2/health/ready")).status == 200)

    async def _model_ready(self, request: Any, context: Context) -> Any:
        """A model that is not there is not ready, and neither is one of a server that starts or stops."""
        reply = await self._call(context, f"{_path(request.name, request.version)}/ready")
        if reply.status not in (200, 404, 503):
            await _refuse(context, reply)
        return message("ModelReadyResponse")(ready=reply.status == 200)

    async def _server_metadata(self, _: Any, context: Context) -> Any:
        return message("ServerMetadataResponse")(**await self._content(context, "/v2"))

    async def _model_metadata(self, request: Any, context: Context) -> Any:
        return message("ModelMetadataResponse")(**await self._content(context, _path(request.name, request.version)))

    async def _model_infer(self, request: Any, context: Context) -> Any:
        try:
            head, binary = _infer_request(request)
        except InputError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, shorten(str(error), MOST_WORDS))
        headers = {HEADER_LENGTH: str(len(head)), "content-type": "application/octet-stream"}
        path = f"{_path(request.model_name, request.model_version)}/infer"
        reply = await self._call(context, path, "POST", headers, head + binary)
        if reply.status != 200:
            await _refuse(context, reply)
        context.set_trailing_metadata(_told(reply))
        return _infer_response(reply)

    async def _content(self, context: Context, path: str) -> Any:
        reply = await self._call(context, path)
        if reply.status != 200:
            await _refuse(context, reply)
        return json.loads(reply.body)

    async def _call(
        self, context: Context, path: str, method: str = "GET", headers: Mapping[str, str] = NONE, body: bytes = b""
    ) -> Reply:
        """The app's answer. gRPC cancels this where the caller goes away or its deadline is over."""
        given = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
        remaining = context.time_remaining()
        patience = {} if remaining is None else {"x-request-timeout": str(max(0.001, remaining))}
        call = Call(method, path, headers={**given, "host": self._host, **patience, **headers}, body=body)
        return await send(call, self._app)


def _path(name: str, version: str) -> str:
    """Of an ASGI scope, where nothing is percent-encoded; but a slash in a name, which no model has, stays one name."""
    name, version = name.replace("/", "%2F"), version.replace("/", "%2F")
    return f"/v2/models/{name}/versions/{version}" if version else f"/v2/models/{name}"


async def _refuse(context: Context, reply: Reply) -> None:
    """End the call as the app did; where it says when to come back, so that gRPC's own retries keep to it too."""
    told = _told(reply)
    if seconds := reply.headers.get("retry-after"):
        told = (*told, ("grpc-retry-pushback-ms", str(int(seconds) * 1000)))
    detail = json.loads(reply.body)["error"] if reply.body else f"HTTP status {reply.status}"
    await context.abort(CODES.get(reply.status, grpc.StatusCode.INTERNAL), shorten(detail, MOST_WORDS), told)


def _told(reply: Reply) -> tuple[tuple[str, str], ...]:
    return tuple((name, reply.headers[name]) for name in TOLD if name in reply.headers)


def _infer_request(request: Any) -> tuple[bytes, bytes]:
    """The JSON and the binary tensors of a REST request; answers are wanted in the form of the inputs, raw or not."""
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise InputError(f"raw_input_contents holds {len(raw)} tensors, and there are {len(request.inputs)} inputs")
    if raw and any(tensor.contents.bytes_contents for tensor in request.inputs):
        raise InputError("the inputs have contents, and there are raw_input_contents; give one of them")
    tensors = raw or [_raw(tensor.contents.bytes_contents) for tensor in request.inputs]
    head: dict[str, Any] = {
        "inputs": [_head(tensor, len(data)) for tensor, data in zip(request.inputs, tensors, strict=True)],
        "parameters": {**_values(request.parameters), BINARY_OUTPUT: bool(raw)},
    }
    if request.id:
        head["id"] = request.id
    if request.outputs:
        head["outputs"] = [
            {"name": output.name, "parameters": {**_values(output.parameters), BINARY: bool(raw)}}
            for output in request.outputs
        ]
    return json.dumps(head).encode(), b"".join(tensors)


def _head(tensor: Any, size: int) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
        "parameters": {BINARY_SIZE: size},
    }


def _raw(texts: Sequence[bytes]) -> bytes:
    return b"".join(part for text in texts for part in (LENGTH.pack(len(text)), text))


def _values(parameters: Any) -> dict[str, Any]:
    return {
        name: getattr(value, value.WhichOneof(CHOICE)) for name, value in parameters.items() if value.WhichOneof(CHOICE)
    }


def _infer_response(reply: Reply) -> Any:
    length = int(reply.headers.get(HEADER_LENGTH, len(reply.body)))
    content = json.loads(reply.body[:length])
    response = message("ModelInferResponse")(**{key: content[key] for key in ("model_name", "model_version")})
    response.id = content.get("id", "")
    for name, value in content.get("parameters", {}).items():
        response.parameters[name].string_param = value
    for tensor in content["outputs"]:
        added = response.outputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
        if "data" in tensor:
            getattr(added.contents, CONTENTS[tensor["datatype"]]).extend(_elements(tensor))
    response.raw_output_contents.extend(_cut(reply.body[length:], content["outputs"]))
    return response


def _elements(tensor: dict[str, Any]) -> Sequence[Any]:
    return [text.encode() for text in tensor["data"]] if tensor["datatype"] == "BYTES" else tensor["data"]


def _cut(binary: bytes, outputs: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    start = 0
    for tensor in outputs:
        size = tensor.get("parameters", {}).get(BINARY_SIZE)
        if size is not None:
            yield binary[start : start + size]
            start += size
