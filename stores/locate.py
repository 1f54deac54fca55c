"""A folder of this machine for what a user names: its path, or a target that is pulled to the cache."""

from __future__ import annotations

from pathlib import Path

from stores.targets import is_target


def locate(text: str) -> Path:
    """The folder of a bundle; raises StoreError, BundleError, InputError."""
    if not is_target(text):
        return Path(text)
    from stores.cache import Cache
    from stores.pull import fetch
    from stores.targets import parse_target

    return fetch(parse_target(text), Cache.of_user())
