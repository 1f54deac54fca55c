"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from commands.completion import names, recipe_keys, recipes
from stores.locate import local


def choice(*accepted: str, help: str, declaration: tuple[str, ...] = ()) -> Any:
    """An option that takes one of these words; whoever reads it refuses others."""
    return Option(*declaration, metavar="|".join(accepted), autocompletion=names(*accepted), help=help)


Recipe = Annotated[Path, Argument(metavar="RECIPE", autocompletion=recipes, help="A YAML file.")]
Run = Annotated[Path, Argument(metavar="RUN", parser=local, help="The folder of a finished run (see train).")]
Folder = Annotated[Path, Argument(metavar="BUNDLE", parser=local, help="The folder of a bundle (see export).")]
Bundle = Annotated[str, Argument(metavar="BUNDLE", help="The folder of a bundle (see export), or a target (see pull).")]
Target = Annotated[str, Argument(metavar="TARGET", help="hf:OWNER/NAME, s3://…, oci:…, others: docs/stores.md.")]
Overrides = Annotated[
    list[str] | None,
    Option("--set", metavar="KEY=VALUE", autocompletion=recipe_keys, help="Override a recipe's key. Repeatable."),
]
TrustedKey = Annotated[Path | None, Option(metavar="PEM", help="Require files signed with this public key.")]
TrustConfig = Annotated[Path | None, Option(metavar="JSON", help="Trust configuration of a private Sigstore.")]
Threads = Annotated[int | None, Option(min=1, metavar="N", help="CPU threads. [default: all available CPUs]")]
