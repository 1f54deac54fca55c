"""The Open Inference Protocol over gRPC: each call becomes a REST call of the app within this process.

So keys, limits, deadlines, batching, metrics and logs are those of ``/v2``; an error's HTTP status becomes gRPC's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from starlette.types import ASGIApp

from serving.batching.errors import Overloaded
from serving.entrypoints.asgi_client import Call, Reply, send
from serving.entrypoints.grpc_api.messages import SERVICE, message
from serving.errors import InputError, shorten
from serving.http.body import BodiesInHand
from serving.http.off_loop import parse_off_loop
from serving.protocols.json_body import MAX_VALUES
from serving.protocols.open_inference.infer import MAX_TENSORS
from serving.protocols.open_inference.options import BINARY, BINARY_OUTPUT
from serving.protocols.open_inference.tensors import BINARY_SIZE, join_texts
from serving.settings.limits import DEFAULT

HEADER_LENGTH = "inference-header-content-length"

STATUS_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.CANCELLED,
    413: grpc.StatusCode.INVALID_ARGUMENT,  # not RESOURCE_EXHAUSTED: clients would try again in vain
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""From HTTP to gRPC; all others are INTERNAL."""

MAX_DETAIL = 600
"""Characters of an error's text; each takes up to 12 of the 8192 bytes of metadata that clients accept."""

RESPONSE_HEADERS = ("x-request-id", "server-timing", "retry-after")
"""HTTP headers that are returned as trailing metadata."""

CONTENTS = {"BYTES": "bytes_contents", "FP32": "fp32_contents", "INT64": "int64_contents"}

MOST_DIMENSIONS = 9
"""More than are accepted, as the answer will say."""

MAX_PARAMETERS = 64

Context = Any  # grpc.aio.ServicerContext: grpcio has no types


class Service:
    """The six methods. Where it is ``stopping``, new calls are refused."""

    def __init__(self, app: ASGIApp, host: str, max_bytes: int = DEFAULT.max_bodies_bytes) -> None:
        """``host`` is the Host header of the calls, ``max_bytes`` of all messages in hand."""
        self._app, self._host, self._bodies = app, host, BodiesInHand(max_bytes)
        self.stopping = False

    def handlers(self) -> grpc.GenericRpcHandler:
        methods = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._model_infer,
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=None if name == "ModelInfer" else message(f"{name}Request").FromString,
                response_serializer=message(f"{name}Response").SerializeToString,
            )
            for name, method in methods.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)

    async def _server_live(self, _: Any, context: Context) -> Any:
        return message("ServerLiveResponse")(live=(await self.call(context, "/v2/health/live")).status == 200)

    async def _server_ready(self, _: Any, context: Context) -> Any:
        return message("ServerReadyResponse")(ready=(await self.call(context, "/v2/health/ready")).status == 200)

    async def _model_ready(self, request: Any, context: Context) -> Any:
        """Unknown models are not ready."""
        reply = await self.call(context, f"{model_path(request.name, request.version)}/ready")
        if reply.status not in (200, 404, 503):
            await refuse(context, reply)
        return message("ModelReadyResponse")(ready=reply.status == 200)

    async def _server_metadata(self, _: Any, context: Context) -> Any:
        return message("ServerMetadataResponse")(**await self._content(context, "/v2"))

    async def _model_metadata(self, request: Any, context: Context) -> Any:
        return message("ModelMetadataResponse")(
            **await self._content(context, model_path(request.name, request.version))
        )

    async def _model_infer(self, message_bytes: bytes, context: Context) -> Any:
        """Its message is parsed only where there is room: as objects it has several times its bytes."""
        with self._bodies.hold() as held:
            try:
                held.grow(len(message_bytes))
                path, headers, body = await parse_off_loop(_to_rest_request, message_bytes)
            except Overloaded as error:
                await refuse(context, Reply(429, {"retry-after": "1"}, json.dumps({"error": str(error)}).encode()))
            except InputError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, shorten(str(error), MAX_DETAIL))
            reply = await self.call(context, path, "POST", headers, body)
        if reply.status != 200:
            await refuse(context, reply)
        context.set_trailing_metadata(_trailing_metadata(reply))
        return await parse_off_loop(_to_grpc_response, reply, size=len(reply.body))

    async def _content(self, context: Context, path: str) -> Any:
        reply = await self.call(context, path)
        if reply.status != 200:
            await refuse(context, reply)
        return json.loads(reply.body)

    async def call(
        self,
        context: Context,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        """gRPC cancels this when the caller disconnects or its deadline has passed."""
        if self.stopping:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
        metadata = _combine(context.invocation_metadata() or ())
        metadata["host"] = self._host
        if (remaining := context.time_remaining()) is not None:
            metadata["x-request-timeout"] = str(max(0.001, remaining))
        return await send(Call(method, path, headers={**metadata, **(headers or {})}, body=body), self._app)


def _combine(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """As HTTP's fields: repeated ones are one with all values (RFC 9110, section 5.3), so two keys are no key."""
    combined: dict[str, str] = {}
    for name, value in metadata:
        if isinstance(value, str):
            combined[name] = f"{combined[name]}, {value}" if name in combined else value
    return combined


def model_path(name: str, version: str = "") -> str:
    """ASGI paths are decoded; an encoded slash stays within its name."""
    name, version = name.replace("/", "%2F"), version.replace("/", "%2F")
    return f"/v2/models/{name}/versions/{version}" if version else f"/v2/models/{name}"


async def refuse(context: Context, reply: Reply) -> None:
    """gRPC's own retries obey the pushback."""
    metadata = _trailing_metadata(reply)
    if seconds := reply.headers.get("retry-after"):
        metadata = (*metadata, ("grpc-retry-pushback-ms", str(int(seconds) * 1000)))
    detail = json.loads(reply.body)["error"] if reply.body else f"HTTP status {reply.status}"
    await context.abort(STATUS_CODES.get(reply.status, grpc.StatusCode.INTERNAL), shorten(detail, MAX_DETAIL), metadata)


def _trailing_metadata(reply: Reply) -> tuple[tuple[str, str], ...]:
    return tuple((name, reply.headers[name]) for name in RESPONSE_HEADERS if name in reply.headers)


def _to_rest_request(message_bytes: bytes) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body of a ``ModelInferRequest``; raises InputError."""
    try:
        request = message("ModelInferRequest").FromString(message_bytes)
    except DecodeError as error:
        raise InputError(f"the message is no ModelInferRequest: {error}") from error
    head, binary = _to_json_and_binary(request)
    headers = {HEADER_LENGTH: str(len(head)), "content-type": "application/octet-stream"}
    return f"{model_path(request.model_name, request.model_version)}/infer", headers, head + binary


def _to_json_and_binary(request: Any) -> tuple[bytes, bytes]:
    """JSON and binary tensors; outputs are raw if the inputs are."""
    _require_few(request)
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InputError(f"raw_input_contents holds {len(raw)} tensors, and there are {len(request.inputs)} inputs")
    if raw and any(tensor.contents.bytes_contents for tensor in request.inputs):
        raise InputError("the inputs have contents, and there are raw_input_contents; give one of them")
    tensors = list(raw) or [join_texts(tensor.contents.bytes_contents) for tensor in request.inputs]
    head: dict[str, Any] = {
        "inputs": [_head(tensor, len(data)) for tensor, data in zip(request.inputs, tensors, strict=True)],
        "parameters": {**_parameters(request.parameters), BINARY_OUTPUT: bool(raw)},
    }
    if request.id:
        head["id"] = request.id
    if request.outputs:
        head["outputs"] = [
            {"name": output.name, "parameters": {**_parameters(output.parameters), BINARY: bool(raw)}}
            for output in request.outputs
        ]
    return json.dumps(head).encode(), b"".join(tensors)


def _require_few(request: Any) -> None:
    """Before anything is built of a message, which may hold a million parts."""
    _bound("inputs", request.inputs, MAX_TENSORS)
    _bound("outputs", request.outputs, MAX_TENSORS)
    _bound("parameters", request.parameters, MAX_PARAMETERS)
    for at, tensor in enumerate(request.inputs):
        _bound(f"inputs[{at}].contents", tensor.contents.bytes_contents, MAX_VALUES)
    for at, output in enumerate(request.outputs):
        _bound(f"outputs[{at}].parameters", output.parameters, MAX_PARAMETERS)


def _bound(field: str, parts: Any, most: int) -> None:
    if len(parts) > most:
        raise InputError(f"{field} has {len(parts):,} elements; at most {most:,} are accepted", field=field)


def _head(tensor: Any, size: int) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape[:MOST_DIMENSIONS]),
        "parameters": {BINARY_SIZE: size},
    }


def _parameters(parameters: Any) -> dict[str, Any]:
    chosen = {name: (value, value.WhichOneof("parameter_choice")) for name, value in parameters.items()}
    return {name: getattr(value, field) for name, (value, field) in chosen.items() if field}


def _to_grpc_response(reply: Reply) -> Any:
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
    response.raw_output_contents.extend(_split(reply.body[length:], content["outputs"]))
    return response


def _elements(tensor: dict[str, Any]) -> Sequence[Any]:
    return [text.encode() for text in tensor["data"]] if tensor["datatype"] == "BYTES" else tensor["data"]


def _split(binary: bytes, outputs: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    start = 0
    for tensor in outputs:
        size = tensor.get("parameters", {}).get(BINARY_SIZE)
        if size is not None:
            yield binary[start : start + size]
            start += size
