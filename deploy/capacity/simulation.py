"""The server under load, as discrete events: one event loop, one engine, and the scheduler that the server itself runs.

What is simulated: a request's work on the event loop before the queue (HTTP, JSON, tokens) and after the engine
(decoding, JSON), the queue with its refusals, and the engine's calls, whose rows `serving.batching.lanes` chooses.
An idle engine begins when the event loop has nothing to do, as both are threads of one interpreter; after a call it
takes its next rows at once. Where both share the CPUs, the event loop interrupts the engine: its turns are short, and
the operating system lets threads that sleep much run first.

What is not: explanations, generation, requests that are cancelled, several workers, a busy machine.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from deploy.capacity.service_times import ServiceTimes
from serving.batching.batch_shape import BatchShape, QueueLimits
from serving.batching.batcher import FIRST_ESTIMATE
from serving.batching.errors import Overloaded
from serving.batching.lanes import Lanes
from serving.batching.scheduler import Row
from serving.settings.limits import DEFAULT

Windows = Sequence[int]
"""Tokens of each window of a request."""


@dataclass(frozen=True)
class ServerModel:
    """Seconds.

    Attributes:
        service_times: of the engine.
        receive: the event loop's work on a request until it is in the queue.
        answer: its work from the engine's results to the answer's last byte.
        transport: of a request and its answer outside of the server.
        shape, bounds: of the server's batches and of its queue.
        shared: whether event loop and engine run on the same CPUs.
        wait_seconds: a request's most in the queue.
    """

    service_times: ServiceTimes
    receive: float
    answer: float
    transport: float
    shape: BatchShape = field(default_factory=BatchShape)
    bounds: QueueLimits = field(default_factory=QueueLimits)
    shared: bool = True
    wait_seconds: float = DEFAULT.wait_seconds


@dataclass
class Outcome:
    """``latencies``: seconds, in the order of the answers; ``refused``: 429, or expired; ``ended``: the last event.

    ``calls`` of the engine had ``rows`` and took ``engine_seconds``, interruptions left out.
    """

    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    ended: float = 0.0
    calls: int = 0
    rows: int = 0
    engine_seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.ended if self.ended else 0.0


def simulate(model: ServerModel, arrivals: Iterable[tuple[float, Windows]]) -> Outcome:
    """Requests that arrive at given times, in ascending order, whether others are answered or not."""
    simulation = _Simulation(model)
    for moment, windows in arrivals:
        simulation.add(moment, windows)
    return simulation.run()


def simulate_connections(model: ServerModel, requests: Iterable[Windows], connections: int) -> Outcome:
    """Connections that send their next request as soon as they have an answer."""
    simulation = _Simulation(model, iter(requests))
    for _ in range(connections):
        simulation.add_next(0.0)
    return simulation.run()


@dataclass(eq=False, slots=True)
class _Request:
    arrived: float
    windows: Windows
    missing: int = 0
    answering: bool = False
    refused: bool = False


class _Simulation:
    """``now`` moves from one event to the next."""

    def __init__(self, model: ServerModel, further: Iterable[Windows] = ()) -> None:
        self._model, self._further = model, iter(further)
        self._queue = Lanes(model.shape, model.bounds, FIRST_ESTIMATE)
        self._arrivals: list[tuple[float, int, _Request]] = []
        self._numbers = itertools.count()
        self._loop: deque[_Request] = deque()
        self._loop_left = self._engine_left = math.inf
        self._batch: list[Row] = []
        self._batch_seconds = 0.0
        self._now = 0.0
        self._outcome = Outcome()

    def add(self, moment: float, windows: Windows) -> None:
        heapq.heappush(self._arrivals, (moment, next(self._numbers), _Request(moment, windows)))

    def add_next(self, moment: float) -> None:
        """One more of the requests that wait for an answer first."""
        if (windows := next(self._further, None)) is not None:
            self.add(moment, windows)

    def run(self) -> Outcome:
        while self._arrivals or self._loop or self._batch:
            arrival = self._arrivals[0][0] - self._now if self._arrivals else math.inf
            engine = math.inf if self._model.shared and self._loop else self._engine_left
            step = max(0.0, min(arrival, self._loop_left, engine))
            self._pass(step)
            if self._loop and self._loop_left <= 0:
                self._end_turn()
            elif self._batch and self._engine_left <= 0:
                self._end_call()
            elif arrival <= step:
                self._accept(heapq.heappop(self._arrivals)[2])
        self._outcome.ended = self._now
        return self._outcome

    def _pass(self, seconds: float) -> None:
        self._now += seconds
        if not (self._model.shared and self._loop):
            self._engine_left -= seconds
        self._loop_left -= seconds

    def _accept(self, request: _Request) -> None:
        self._loop.append(request)
        self._begin_turn()

    def _begin_turn(self) -> None:
        if len(self._loop) == 1:
            self._loop_left = self._turn_seconds(self._loop[0])

    def _turn_seconds(self, request: _Request) -> float:
        return self._model.answer if request.answering else self._model.receive

    def _end_turn(self) -> None:
        """The event loop is done with a request; an idle engine takes rows once no other waits for the loop."""
        request = self._loop.popleft()
        self._loop_left = self._turn_seconds(self._loop[0]) if self._loop else math.inf
        if request.answering:
            self._answer(request)
        else:
            self._enqueue(request)
        if not self._loop and not self._batch:
            self._begin_call()

    def _answer(self, request: _Request) -> None:
        self._outcome.latencies.append(self._now - request.arrived + self._model.transport)
        self.add_next(self._now + self._model.transport)

    def _enqueue(self, request: _Request) -> None:
        request.missing, deadline = len(request.windows), request.arrived + self._model.wait_seconds
        try:
            self._queue.put([Row(tokens, deadline, request) for tokens in request.windows], self._now)
        except Overloaded:
            self._refuse(request)

    def _refuse(self, request: _Request) -> None:
        if not request.refused:
            request.refused = True
            self._outcome.refused += 1
            self.add_next(self._now + self._model.transport)

    def _begin_call(self) -> None:
        self._batch, expired = self._queue.take(self._now)
        for row in expired:
            self._refuse(row.owner)
        if not self._batch:
            self._engine_left = math.inf
            return
        longest = max(row.tokens for row in self._batch)
        self._batch_seconds = self._engine_left = self._model.service_times.seconds(len(self._batch), longest)
        self._outcome.calls += 1
        self._outcome.rows += len(self._batch)
        self._outcome.engine_seconds += self._batch_seconds

    def _end_call(self) -> None:
        batch = self._batch
        self._queue.ran(batch, self._now, self._batch_seconds, 1)
        self._begin_call()
        for row in batch:
            row.owner.missing -= 1
            if not row.owner.missing and not row.owner.refused:
                row.owner.answering = True
                self._loop.append(row.owner)
                self._begin_turn()
