"""What every verb has: its group in ``tuneship --help``, examples in its own help, ``--json`` and ``--quiet``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option, Typer
from typer.core import TyperCommand, TyperGroup

from commands.terminal import STOPPED, speaking

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

Json = Annotated[bool, Option("--json", help="Print one JSON document; words go to stderr.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Print only the result, and errors.")]

_ADDED = {"as_json": Json, "quiet": Quiet}


def verb(*examples: str, stopped: str = STOPPED) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A function as a verb with ``--json`` and ``--quiet``.

    Args:
        examples: command lines of its help.
        stopped: what to do after Ctrl-C or SIGTERM.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)

        @wraps(function)
        def run(*, as_json: bool = False, quiet: bool = False, **arguments: Any) -> None:
            with speaking(as_json, quiet, stopped):
                function(**arguments)

        own = [*signature.parameters.values()]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
            for name, annotation in _ADDED.items()
        ]
        run.__dict__["__signature__"] = signature.replace(parameters=[*own, *added])
        run.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
        run.__dict__["examples"] = examples
        return run

    return decorate


def examples_of(function: Callable[..., Any]) -> Sequence[str]:
    found: Sequence[str] = getattr(function, "examples", ())
    return found


def add_verbs(app: Typer, groups: Mapping[str, Sequence[Callable[..., None]]]) -> None:
    """Each group of functions, in this order, below its heading."""
    for heading, functions in groups.items():
        for function in functions:
            name = function.__name__.rstrip("_")
            epilog = "\n".join(examples_of(function))
            app.command(name, cls=Verb, rich_help_panel=heading, epilog=epilog)(function)


class Verb(TyperCommand):
    """Shows its epilog as examples, line by line; arguments by their names, without types; ranges in words."""

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        return [re.sub(r"^\{(.+)\}$", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        for heading, kind in (("Arguments", "argument"), ("Options", "option")):
            records = [param.get_help_record(ctx) for param in self.get_params(ctx) if param.param_type_name == kind]
            rows = [(re.sub(r" <.+>$", "", name), _in_words(text)) for name, text in filter(None, records)]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _in_words(text: str) -> str:
    """An option's help, such as ``[x>=1]`` as ``[at least 1]``."""
    text = re.sub(r"([\d.]+)<=x<=([\d.]+)", r"\1 to \2", text)
    return re.sub(r"x>=([\d.]+)", r"at least \1", text).replace("  [", " [").replace("] [", "; ")


class Group(TyperGroup):
    """Lists its commands below the headings of their groups."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        headings: dict[str, list[tuple[str, str]]] = {}
        limit = formatter.width - 6 - max(map(len, self.commands), default=0)
        for name, command in self.commands.items():
            heading = getattr(command, "rich_help_panel", None)
            row = (name, command.get_short_help_str(limit))
            headings.setdefault(heading if isinstance(heading, str) else "Commands", []).append(row)
        widest = max(map(len, self.commands), default=0)
        for heading, rows in headings.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:{widest}}", text) for name, text in rows])
