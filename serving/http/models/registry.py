"""The served models by name. A new version replaces the old one only when it is verified and warm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar, get_args

from serving.errors import BundleError, UserError
from serving.http.models.loading import begin
from serving.http.models.model import Model
from serving.http.models.sources import Source
from serving.inference.memory import trim_memory
from serving.inference.predictor import Predictor
from serving.observability.metrics import Metrics

logger = logging.getLogger("tuneship")

Outcome = Literal["swapped", "unchanged", "refused"]
Result = TypeVar("Result")
MakeModel = Callable[[str, Predictor], Model]


@dataclass(frozen=True)
class Reload:
    """The result of looking for a new version."""

    outcome: Outcome
    time: str
    reason: str = ""


class ServedModel:
    """A name and its current version."""

    def __init__(self, source: Source, make_model: MakeModel, metrics: Metrics) -> None:
        self.last_reload: Reload | None = None
        self._source = source
        self._make_model = make_model
        self._metrics = metrics
        self._reload_lock = asyncio.Lock()
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def alive(self) -> bool:
        """Whether its engine can answer."""
        return self.model.batcher.alive

    @property
    def version(self) -> str:
        """The hash's first digits."""
        return self.model.predictor.manifest.digest[:12]

    async def open(self) -> None:
        """Raises UserError."""
        self._state, predictor = await _aside(lambda: (self._source.state(), self._source.open()))
        self.name = self._source.name or predictor.manifest.name
        self._metrics.set_bundle(self.name, predictor)
        for outcome in get_args(Outcome):  # at 0: Prometheus sees no increase in a series that starts at 1
            self._metrics.reloads.labels(self.name, outcome)
        self.model = self._make_model(self.name, predictor)

    async def reload(self) -> Reload:
        """Swap in a new, trusted version if there is one; running requests keep theirs."""
        async with self._reload_lock:
            self.last_reload = await self._try_to_swap()
        self._metrics.reloads.labels(self.name, self.last_reload.outcome).inc()
        return self.last_reload

    async def watch(self, seconds: float) -> None:
        """Reload after each change of the source, once two looks agree."""
        tried = last = self._state
        while True:
            await asyncio.sleep(seconds)
            try:
                state = await _aside(self._source.state)
                if state == last and state != tried:
                    tried = state
                    await self.reload()
                last = state
            except UserError as error:
                logger.warning("looking for a new version of %s failed; it is tried again: %s", self.name, error)
            except Exception:  # whatever fails, the watch goes on
                logger.exception("looking for a new version of %s failed; it is tried again", self.name)

    async def close(self) -> None:
        """Answer what was accepted first."""
        await asyncio.gather(self.model.close(), *self._draining)

    async def _try_to_swap(self) -> Reload:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            state = await _aside(self._source.state)
            if state == self._state:
                return Reload("unchanged", now)
            swapped = self._swap(await _aside(self._source.open))
        except Exception as error:  # whatever is wrong with the new version, the old one keeps serving
            traceback = None if isinstance(error, (UserError, OSError)) else error
            message = "new version of %s refused, %s stays: %s"
            logger.warning(message, self.name, self.version, error, exc_info=traceback)
            return Reload("refused", now, str(error))
        self._state = state
        return Reload("swapped" if swapped else "unchanged", now)

    def _swap(self, predictor: Predictor) -> bool:
        old, new = self.model.predictor.manifest, predictor.manifest
        if new.digest == old.digest:
            return False
        if new.task != old.task:
            raise BundleError(
                f"its task is {new.task}, that of {self.name} is {old.task}. Serve it under another name."
            )
        model, before = self._make_model(self.name, predictor), self.model  # where it fails, the old one keeps serving
        self._metrics.set_bundle(self.name, predictor, replaces=before.predictor)
        self.model = model
        drain = asyncio.create_task(_drain(before))
        self._draining.add(drain)
        drain.add_done_callback(self._draining.discard)
        logger.info("%s: %s is served now, %s drains", self.name, new.digest[:12], old.digest[:12])
        return True


async def _aside(work: Callable[[], Result]) -> Result:
    """Beside the event loop; at the server's end it is left behind."""
    return await asyncio.wrap_future(begin(work, "load"))


async def _drain(model: Model) -> None:
    await model.close()
    del model
    await asyncio.to_thread(trim_memory)


class ModelRegistry:
    """In order; the first is the default."""

    def __init__(self, sources: Sequence[Source], make_model: MakeModel, metrics: Metrics) -> None:
        self._served = [ServedModel(source, make_model, metrics) for source in sources]
        self._by_name: dict[str, ServedModel] = {}
        self.default = self._served[0]

    def __len__(self) -> int:
        return len(self._served)

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served)

    def get(self, name: str) -> ServedModel | None:
        """None for an unknown name."""
        return self._by_name.get(name)

    async def open(self) -> None:
        """Raises UserError."""
        for served in self._served:
            await served.open()
            self._by_name[served.name] = served

    async def close(self) -> None:
        """Answer what was accepted first."""
        await asyncio.gather(*(served.close() for served in self._served))

    async def reload(self) -> None:
        """One after the other: only one extra version is in memory."""
        for served in self._served:
            await served.reload()

    @asynccontextmanager
    async def watch(self, seconds: float | None) -> AsyncIterator[None]:
        """``None``: never look for new versions."""
        tasks = [asyncio.create_task(served.watch(seconds)) for served in self._served] if seconds else []
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
