"""The app on its own event loop: started once an environment, called once an event."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from serving.entrypoints.asgi_client import send
from serving.entrypoints.aws_lambda.events import Event, is_http, is_queue, is_warm_up, parse_event
from serving.entrypoints.aws_lambda.replies import refuse, result_of
from serving.errors import InputError
from serving.http.app import create_served_app
from serving.http.models.sources import find_served_bundles
from serving.observability.logs import set_up_logs
from serving.settings.log_settings import LogSettings
from serving.settings.settings import ServerSettings

STREAMING = "serving.entrypoints.aws_lambda.streaming"

WARM = {"status": "warm"}


class Function:
    """``environment``: where the credentials for a queue are."""

    def __init__(self, settings: ServerSettings, environment: Mapping[str, str] | None = None) -> None:
        """Raises BundleError, or InputError where answers are to be streamed and another loop than ours runs."""
        if settings.aws_lambda.streams and STREAMING not in sys.modules:
            told = "TUNESHIP_LAMBDA_INVOKE_MODE=RESPONSE_STREAM needs the image's own loop"
            raise InputError(f"{told}: python -m serving.entrypoints.aws_lambda; awslambdaric streams nothing")
        self._settings, self._environment = settings, environment or {}
        self._loop = asyncio.new_event_loop()
        if settings.log != LogSettings():  # by default the log has the runtime's format
            set_up_logs(settings.log, sys.stdout)
        unwatched = replace(settings, watch=None)  # between events the process stands still
        self.app = create_served_app(unwatched, find_served_bundles(settings))
        self._lifespan = self.app.router.lifespan_context(self.app)
        self._loop.run_until_complete(self._lifespan.__aenter__())

    def __call__(self, event: Event, context: Any = None) -> Any:
        """Raises InvocationError if a direct invocation is refused."""
        if is_warm_up(event):
            return WARM
        try:
            return self._answer(event, context)
        finally:
            self.app.observers.flush()  # Lambda freezes the process between events

    def _answer(self, event: Event, context: Any) -> Any:
        if is_queue(event):
            return self._answer_messages(event, context)
        try:
            call = parse_event(event)
        except (ValueError, RecursionError) as error:
            return result_of(event, None, refuse(error))
        if self._settings.aws_lambda.streams and is_http(event):
            from serving.entrypoints.aws_lambda.streaming import StreamedReply

            return StreamedReply(call, self.app, self._loop)
        return result_of(event, call, self._loop.run_until_complete(send(call, self.app)))

    def _answer_messages(self, event: Event, context: Any) -> Any:
        from serving.entrypoints.aws_lambda.messages import answer_messages
        from serving.entrypoints.aws_lambda.queue import Queue

        url = self._settings.aws_lambda.answers_queue
        queue = Queue(url, self._environment) if url else None
        return self._loop.run_until_complete(answer_messages(event, context, self.app, queue))

    def close(self) -> None:
        self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        self._loop.close()
