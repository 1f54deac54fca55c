"""What Terraform's providers accept: the arguments and blocks of each resource, as CDK for Terraform has them.

No provider is installed: its package for Python holds a declaration of every resource, made from the provider's schema.
"""

from __future__ import annotations

import functools
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.terraform import text_of
from tests.paths import ROOT

FOLDER = ROOT / ".venv-validators" / "providers"
MISSING = "" if list(FOLDER.glob("*.whl")) else "there are no validators: make validators"

META = {"count", "for_each", "depends_on", "lifecycle", "provider"}
"""Arguments of every resource."""

INTERFACE = re.compile(r"^export interface (\w+).*?\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
PROPERTY = re.compile(r"^    readonly (\w+)(\??): (\w+)?", re.MULTILINE)
OPENS = re.compile(r'^(?:dynamic )?"?(\w+)"?((?: "[\w-]+")*) \{$')
ASSIGNS = re.compile(r"^(\w+)\s+=\s*(.*)$")

Properties = Mapping[str, tuple[bool, str]]
"""By name: whether it may be left out, and its type."""


@dataclass
class Body:
    """What a block holds: arguments, and blocks by name."""

    arguments: set[str] = field(default_factory=set)
    blocks: list[tuple[str, Body]] = field(default_factory=list)


def problems(folder: Path) -> Iterator[str]:
    """Unknown and missing arguments of every resource and data source."""
    for name, body in parse(text_of(folder)).blocks:
        keyword, *labels = name.split()
        if keyword in ("resource", "data"):
            kind = labels[0]
            provider, _, rest = kind.partition("_")
            path = f"{'data-' if keyword == 'data' else ''}{provider}-{rest.replace('_', '-')}"
            yield from _problems(_interfaces(path), None, body, name)


def parse(text: str) -> Body:
    """Formatted files: a block or an argument begins a line."""
    root = Body()
    open_bodies, depth = [root], 0
    for line in map(str.strip, text.splitlines()):
        code = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line).partition("#")[0]
        change = sum(code.count(each) for each in "{[(") - sum(code.count(each) for each in "}])")
        if depth:  # inside an argument's value
            depth += change
        elif found := OPENS.match(line):
            body, name = Body(), f"{found[1]}{found[2]}".replace('"', "")
            dynamic = line.startswith("dynamic ")
            if name == "content":  # of a dynamic block
                body = open_bodies[-1]
            elif not dynamic or name not in [name for name, _ in open_bodies[-1].blocks]:
                open_bodies[-1].blocks.append((name, body))
            open_bodies.append(body)
        elif code == "}":
            open_bodies.pop()
        elif found := ASSIGNS.match(line):
            open_bodies[-1].arguments.add(found[1])
            depth = change
    return root


def _problems(interfaces: Mapping[str, Properties], name: str | None, body: Body, where: str) -> Iterator[str]:
    known = interfaces[name or next(each for each in interfaces if each.endswith("Config"))]
    given = body.arguments | {block for block, _ in body.blocks}
    for argument in given - META:
        if _camel(argument) not in known:
            yield f"{where}: has no argument {argument}"
    for argument, (optional, _) in known.items():
        if not optional and argument not in {_camel(each) for each in given}:
            yield f"{where}: lacks {argument}"
    for block, inner in body.blocks:
        _, kind = known.get(_camel(block), (True, ""))
        if kind in interfaces:
            yield from _problems(interfaces, kind, _without_iteration(inner), f"{where}.{block}")


def _without_iteration(body: Body) -> Body:
    """Of a dynamic block."""
    return Body(body.arguments - {"for_each", "iterator"}, body.blocks)


@functools.cache
def _interfaces(path: str) -> Mapping[str, Properties]:
    """Of a resource; by name."""
    kind = path.removeprefix("data-")
    provider, _, rest = kind.partition("-")
    name = f"data-{provider}-{rest}" if path.startswith("data-") else rest
    text = _provider(provider)[f"package/lib/{name}/index.d.ts"]
    return {
        found: {each: (bool(optional), kind) for each, optional, kind in PROPERTY.findall(body)}
        for found, body in INTERFACE.findall(text)
    }


@functools.cache
def _provider(name: str) -> Mapping[str, str]:
    """Declarations by path."""
    (wheel,) = FOLDER.glob(f"cdktf_cdktf_provider_{name}-*.whl")
    with zipfile.ZipFile(wheel) as files:
        (inner,) = (each for each in files.namelist() if each.endswith(".jsii.tgz"))
        archive = io.BytesIO(files.read(inner))
    with tarfile.open(fileobj=archive) as members:
        return {
            each.name: members.extractfile(each).read().decode()  # type: ignore[union-attr]
            for each in members
            if each.name.endswith("/index.d.ts")
        }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.capitalize() for each in rest)
