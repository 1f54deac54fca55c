"""gRPC's health check, which Kubernetes, load balancers and meshes send: of the server, or of a model by its name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from serving.entrypoints.grpc_api.messages import HEALTH_PACKAGE, HEALTH_SERVICE, SERVICE, message
from serving.entrypoints.grpc_api.service import Context, Service, model_path, refuse

SECONDS_BETWEEN_LOOKS = 0.25
"""Of a watch; the server's end waits for them as long."""

SERVER = frozenset({"", SERVICE.full_name, HEALTH_SERVICE.full_name})
"""The services that are ready when the whole server is. Any other is a model's name."""

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3


class Health:
    """Of a server that is starting, draining or stopping, no service serves."""

    def __init__(self, service: Service, is_ready: Callable[[str], bool]) -> None:
        """``is_ready``: whether the model of a name answers, or of none, all; without cost."""
        self._service, self._is_ready = service, is_ready

    def handlers(self) -> grpc.GenericRpcHandler:
        request, response = (message(f"HealthCheck{end}", HEALTH_PACKAGE) for end in ("Request", "Response"))
        codecs = {"request_deserializer": request.FromString, "response_serializer": response.SerializeToString}
        methods = {
            "Check": grpc.unary_unary_rpc_method_handler(self._check, **codecs),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch, **codecs),
        }
        return grpc.method_handlers_generic_handler(HEALTH_SERVICE.full_name, methods)

    async def _check(self, request: Any, context: Context) -> Any:
        status = await self._ask(request.service, context)
        if status == SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no model is named so; the empty name is the whole server")
        return _response(status)

    async def _watch(self, request: Any, context: Context) -> AsyncIterator[Any]:
        """A status at once, and at each change, until the caller goes or the server stops."""
        status = await self._ask(request.service, context)
        yield _response(status)
        while not self._service.stopping:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            if status != SERVICE_UNKNOWN and (now := self._look(request.service)) != status:
                status = now
                yield _response(status)

    async def _ask(self, name: str, context: Context) -> int:
        """As REST answers, so that a model's name needs a key where the server has keys."""
        if self._service.stopping:
            return NOT_SERVING
        path = "/v2/health/ready" if name in SERVER else f"{model_path(name)}/ready"
        reply = await self._service.call(context, path)
        statuses = {200: SERVING, 404: SERVICE_UNKNOWN, 503: NOT_SERVING}
        if reply.status not in statuses:
            await refuse(context, reply)
        return statuses[reply.status]

    def _look(self, name: str) -> int:
        ready = not self._service.stopping and self._is_ready("" if name in SERVER else name)
        return SERVING if ready else NOT_SERVING


def _response(status: int) -> Any:
    return message("HealthCheckResponse", HEALTH_PACKAGE)(status=status)
