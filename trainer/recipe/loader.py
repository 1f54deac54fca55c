"""A recipe's YAML as a mapping, with ``--set`` applied."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from serving.errors import InputError, shorten
from serving.files import nearest_path, read_regular
from serving.tasks.inputs import encodable

MOST_BYTES = 2**18
MOST_DEPTH = 20
MOST_NUMBER = 2**64


class _Loader(yaml.SafeLoader):
    """Reads ``1e-4`` as a float, as YAML 1.2 does, and refuses a key written twice, aliases and deep nesting.

    A few aliases of aliases would stand for billions of values.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event, problem = self.peek_event(), None  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases (*) are not accepted, write the value again"
        elif self.depth == MOST_DEPTH:
            problem = f"nested more than {MOST_DEPTH} deep"
        if problem:
            raise yaml.composer.ComposerError(problem=problem, problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """A number or a date that Python cannot hold is an error of YAML too, and a number of very many digits."""
        problem, value = "a whole number has at most 64 bits", None
        try:
            value = super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            problem = str(error)
        else:
            if not isinstance(value, int) or abs(value) < MOST_NUMBER:
                return value
        raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        twice = sorted(key for key, count in keys.items() if count > 1)
        if twice:
            problem = f"key {twice[0]!r} is written twice"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str) -> Any:
    return yaml.load(text, _Loader)  # a SafeLoader: builds plain values only


def read_mapping(path: Path) -> dict[str, Any]:
    """Raises InputError."""
    try:
        value = parse_yaml(read_regular(path, MOST_BYTES).decode("utf-8"))
    except FileNotFoundError:
        meant = nearest_path(path)
        raise InputError(f"{path}: there is no such recipe; give the path of a YAML file{meant}") from None
    except OSError as error:
        problem = "is a folder" if path.is_dir() else f"cannot be read: {error.strerror}"
        raise InputError(f"{path}: {problem}; give the path of a recipe, a YAML file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save the recipe as UTF-8") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {_one_line(error)}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds {_describe(value)}; a recipe is a mapping with the keys task, model, data …")
    return value


def apply_overrides(mapping: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy with each ``dotted.key=value`` set; values are YAML."""
    changed = copy.deepcopy(mapping)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not all(key.strip().split(".")) or key.count(".") > MOST_DEPTH:
            raise InputError(f"--set {override}: write key=value, such as training.learning_rate=1e-4")
        _set(changed, key.strip().split("."), _parse_value(override, text))
    _check_texts(changed)
    return changed


def _parse_value(override: str, text: str) -> Any:
    try:
        return parse_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {override}: the value is not valid YAML: {_one_line(error)}") from None


def _set(mapping: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        below = mapping.get(key)
        mapping[key] = below if isinstance(below, dict) else {}
        mapping = mapping[key]
    mapping[keys[-1]] = value


def _check_texts(value: Any, key: str = "") -> None:
    """Raise InputError for text that no file name, no file and no terminal can hold."""
    if isinstance(value, dict):
        for name, each in value.items():
            _check_texts(name, key)
            _check_texts(each, f"{key}.{name}".strip("."))
    elif isinstance(value, list):
        for each in value:
            _check_texts(each, key)
    elif isinstance(value, str) and ("\0" in value or not encodable(value)):
        problem = f"{shorten(repr(value), 60)} holds a NUL or half of a surrogate pair; leave that character out"
        raise InputError(f"{key}: {problem}" if key else f"the recipe: {problem}")


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return " ".join(problem.split()) + place


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else f"only {value!r}"
