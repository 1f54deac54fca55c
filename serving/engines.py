"""The engine of each kind of graph, by the name that the manifest gives."""

from __future__ import annotations

from tokenizers import Tokenizer

from serving.bundle import Bundle
from serving.engine import Engine, WindowEngine
from serving.generation.engine import GenerationEngine
from serving.tasks.base import Task
from serving.tasks.generation import Generation


def engine_of(bundle: Bundle, task: Task, tokenizer: Tokenizer, threads: int) -> Engine:
    """The engine that runs the bundle's graphs; raises BundleError where they cannot be loaded."""
    if isinstance(task, Generation):
        return GenerationEngine(bundle, task, tokenizer, threads)
    return WindowEngine(bundle, task, threads)
