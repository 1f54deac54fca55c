"""A folder of this machine for what a user names: its path, or a target that is pulled to the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stores.errors import StoreError
from stores.targets import Target, is_target, parse_target, scrub

if TYPE_CHECKING:
    from stores.cache import Cache


class Pulled:
    """Gives the folder of a target's present version; one that it gave before is not checked again."""

    def __init__(self, target: Target, cache: Cache) -> None:
        self._target, self._cache = target, cache
        self._last: Path | None = None

    def __call__(self) -> Path:
        """Raises StoreError, BundleError."""
        from stores.pull import fetch

        self._last = fetch(self._target, self._cache, checked=self._last)
        return self._last


def locate(text: str) -> Path:
    """The folder of a bundle; raises StoreError, BundleError, InputError."""
    pulled = reach(text)
    return pulled() if pulled else Path(text)


def local(text: str) -> Path:
    """A path; raises StoreError for a target where only a folder of this machine can be."""
    if is_target(text):
        raise StoreError(f"{scrub(text)}: a path of this machine is needed here; push and pull move bundles")
    return Path(text)


def reach(text: str) -> Pulled | None:
    """None for a path of this machine; raises InputError."""
    if not is_target(text):
        return None
    from stores.cache import Cache

    return Pulled(parse_target(text), Cache.of_user())
