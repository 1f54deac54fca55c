"""The served models by name, and how a new version of one takes over: proven and warm first, at once, or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from serving.errors import BundleError
from serving.http.models.model import Model
from serving.http.models.sources import Source
from serving.inference.memory import trim_memory
from serving.inference.predictor import Predictor
from serving.observability.metrics import Metrics

logger = logging.getLogger("tuneship")

Outcome = Literal["swapped", "unchanged", "refused"]
Make = Callable[[str, Predictor], Model]


@dataclass(frozen=True)
class Reload:
    """What came of looking for a new version."""

    outcome: Outcome
    time: str
    reason: str = ""


class ServedModel:
    """One name: the source of its versions and the version that answers now."""

    def __init__(self, source: Source, make: Make, metrics: Metrics) -> None:
        self.source = source
        self.last_reload: Reload | None = None
        self._make = make
        self._metrics = metrics
        self._changing = asyncio.Lock()
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def version(self) -> str:
        """The first digits of the bundle's hash."""
        return self.model.predictor.manifest.digest[:12]

    async def open(self) -> None:
        """Open the first version; raises BundleError."""
        self.state = self.source.state()
        predictor = await asyncio.to_thread(self.source.open)
        self.name = self.source.name or predictor.manifest.name
        self._metrics.serves(self.name, predictor)
        for outcome in get_args(Outcome):  # at 0, for Prometheus sees no increase where a series is born
            self._metrics.reloads.labels(self.name, outcome)
        self.model = self._make(self.name, predictor)

    async def reload(self) -> Reload:
        """Put a new version into the present one's place if there is one and it may be trusted; else keep this one.

        Requests that have begun are answered by the version they began with; it is freed behind the last of them.
        """
        async with self._changing:
            self.last_reload = await self._try_to_swap()
        self._metrics.reloads.labels(self.name, self.last_reload.outcome).inc()
        return self.last_reload

    async def close(self) -> None:
        """Finish what was accepted."""
        await asyncio.gather(self.model.close(), *self._draining)

    async def _try_to_swap(self) -> Reload:
        now, state = datetime.now(UTC).isoformat(timespec="seconds"), self.source.state()
        if state == self.state:
            return Reload("unchanged", now)
        try:
            swapped = self._swap(await asyncio.to_thread(self.source.open))
        except Exception as error:  # whatever is wrong with the new version, the old one goes on answering
            trace = None if isinstance(error, (BundleError, OSError)) else error
            logger.warning("new version of %s refused, %s stays: %s", self.name, self.version, error, exc_info=trace)
            return Reload("refused", now, str(error))
        self.state = state
        return Reload("swapped" if swapped else "unchanged", now)

    def _swap(self, predictor: Predictor) -> bool:
        old, new = self.model.predictor.manifest, predictor.manifest
        if new.digest == old.digest:
            return False
        if new.task != old.task:
            raise BundleError(f"it is of task {new.task}, and {self.name} of {old.task}. Serve it under another name.")
        drained = asyncio.create_task(_free(self.model))
        self._draining.add(drained)
        drained.add_done_callback(self._draining.discard)
        self._metrics.serves(self.name, predictor, instead_of=self.model.predictor)
        self.model = self._make(self.name, predictor)
        logger.info("%s: %s answers now, %s drains", self.name, new.digest[:12], old.digest[:12])
        return True


async def _free(model: Model) -> None:
    """Finish what was accepted, and give the memory back."""
    await model.close()
    del model
    await asyncio.to_thread(trim_memory)


class ModelRegistry:
    """All names; the first is the one that answers where none is named."""

    def __init__(self, sources: Sequence[Source], make: Make, metrics: Metrics) -> None:
        self._served = [ServedModel(source, make, metrics) for source in sources]
        self._by_name: dict[str, ServedModel] = {}

    @property
    def default(self) -> ServedModel:
        """The first."""
        return self._served[0]

    def __len__(self) -> int:
        return len(self._served)

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served)

    def get(self, name: str) -> ServedModel | None:
        """What is served under a name."""
        return self._by_name.get(name)

    async def open(self) -> None:
        """Open the first version of each, one after the other; raises BundleError."""
        for served in self._served:
            await served.open()
            self._by_name[served.name] = served

    async def close(self) -> None:
        """Finish what was accepted."""
        await asyncio.gather(*(served.close() for served in self._served))

    async def reload(self) -> None:
        """Look for a new version of each, one after the other, so that only one more than is served is in memory."""
        for served in self._served:
            await served.reload()

    @asynccontextmanager
    async def watched(self, seconds: float | None) -> AsyncIterator[None]:
        """Meanwhile, look every so many seconds whether a source has changed; ``None``: never."""
        tasks = [asyncio.create_task(_watch(served, seconds)) for served in self._served] if seconds else []
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _watch(served: ServedModel, seconds: float) -> None:
    """Reload once a change has come to rest: two looks in a row must see the same."""
    tried = last = served.state
    while True:
        await asyncio.sleep(seconds)
        state = await asyncio.to_thread(served.source.state)
        if state == last and state != tried:
            tried = state
            await served.reload()
        last = state
