"""Turns what transformers, tokenizers and safetensors raise over a model's files into a message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from serving.errors import InputError, UserError, shorten

_MOST_CHARACTERS = 300


@contextmanager
def refusing(model: str, problem: str) -> Iterator[None]:
    """Raise InputError for any error inside the block: files of strangers lead these libraries to any of them."""
    try:
        yield
    except (UserError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of Rust derives from it
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        words = " ".join(str(error).split()) or "no message"
        reason = shorten(f"{type(error).__name__}: {words}", _MOST_CHARACTERS)
        raise InputError(
            f"model: {model}: {problem} ({reason}); get it again, or choose another base model", field="model"
        ) from error
