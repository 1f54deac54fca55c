"""Run → bundle, with its proof: `export`, which is loaded, with torch, when it is first named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.library import export
    from export.rehearsal import rehearse

__all__ = ["export", "rehearse"]


def __getattr__(name: str) -> Any:
    if name == "export":
        from export.library import export

        return export
    if name == "rehearse":
        from export.rehearsal import rehearse

        return rehearse
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
