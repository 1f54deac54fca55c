"""Recipe → run: `fine_tune`, which is loaded, with torch, when it is first named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.library import fine_tune

__all__ = ["fine_tune"]


def __getattr__(name: str) -> Any:
    if name == "fine_tune":
        from trainer.library import fine_tune

        return fine_tune
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
