"""Run → bundle, and bundles on their way."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from typer import Argument, Option

from commands.arguments import Bundle, Folder, Run, Target, Threads, TrustConfig
from commands.terminal import err, out
from serving.errors import InputError
from stores.locate import local, locate


def export(
    run: Run,
    output: Annotated[Path, Option("--output", "-o", metavar="BUNDLE", parser=local, help="Folder for the bundle.")],
    variant: Annotated[
        str | None,
        Option(metavar="fp32|int8|auto", help="Format of the weights; auto: the fastest that passes. [default: fp32]"),
    ] = None,
    fallback: Annotated[bool, Option(help="Add fp32 for machines where int8 fails its check.")] = False,
    layout: Annotated[
        str, Option(metavar="bundle|hub", help="hub: the folder that the Hugging Face Hub and transformers.js read.")
    ] = "bundle",
    device: Annotated[
        str, Option(metavar="cpu|cuda|auto", help="Where it is proven, and then serves; auto: a GPU if there is one.")
    ] = "cpu",
    student: Annotated[
        list[Path] | None,
        Option(metavar="RUN", parser=local, help="With auto: a run distilled from RUN, which may serve. Repeatable."),
    ] = None,
    max_metric_drop: Annotated[
        float | None, Option(min=0, max=1, metavar="X", help="Replaces export.max_metric_drop of the recipe.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Convert a run to ONNX, prove its answers, and write a bundle.

    With --layout hub, the default variant is fp32, with int8 beside it if that passes.
    """
    from trainer.run.run import Run as TrainedRun

    if layout not in ("bundle", "hub"):
        raise InputError(f"--layout {layout} is unknown; accepted are: bundle, hub", field="--layout")
    trained = TrainedRun.open(run)
    from export.console import parity_table, show_progress, variants_table
    from export.exporter import export_hub, export_run  # imports torch
    from serving.inference.device import parse_device
    from serving.settings.settings import available_cpus

    proven_on = parse_device(device)
    if layout == "hub" and proven_on != "cpu":
        raise InputError(f"--device {device}: --layout hub is proven on the CPU; leave it out", field="--device")
    for option, value in (("--student", student), ("--max-metric-drop", max_metric_drop)):
        if layout == "hub" and value is not None:
            raise InputError(f"{option}: is for bundles; leave out {option} or --layout hub", field=option)
    threads = threads or available_cpus()
    if layout == "hub":
        with show_progress(err):
            made = export_hub(trained, output, variant, threads=threads)
        for parity in made.proofs:
            out.print(parity_table(parity))
        for note in made.folder.notes:
            out.print(f"[yellow]![/] {escape(note)}", soft_wrap=True, highlight=False)
        out.print(f"hub     {escape(str(output))}  {made.bytes / 1e6:.1f} MB", soft_wrap=True)
        return
    with show_progress(err):
        result = export_run(
            trained,
            output,
            variant or "fp32",
            threads=threads,
            fallback=fallback,
            device=proven_on,
            students=student or [],
            max_metric_drop=max_metric_drop,
        )
    for warning in result.warnings:
        err.print(f"[yellow]warning[/] {escape(warning)}", soft_wrap=True, highlight=False)
    if result.candidates:
        out.print(variants_table(result.candidates, result.served))
    out.print(parity_table(result.parity))
    out.print(f"bundle  {escape(str(output))}  {result.bytes / 1e6:.1f} MB  sha256 {result.digest}", soft_wrap=True)


def compare(
    run: Run,
    bundle: Bundle,
    production: Annotated[str, Argument(metavar="PRODUCTION", help="The bundle to compare with: folder or target.")],
    max_metric_drop: Annotated[
        float | None, Option(min=0, max=1, metavar="X", help="Replaces export.max_metric_drop of the recipe.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Compare a run's bundle with the one in production.

    Both answer the run's test rows. Exits with status 1 unless they show that the metric drops by less than the bound.
    """
    from trainer.run.run import Run as TrainedRun

    trained = TrainedRun.open(run)
    from export.proof.comparison import compare_bundles, describe, explain_failure  # imports torch
    from serving.settings.settings import available_cpus

    compared = compare_bundles(
        trained, locate(bundle), locate(production), max_metric_drop, threads or available_cpus()
    )
    for line in describe(compared):
        out.print(escape(line), soft_wrap=True, highlight=False)
    if not compared.same_test_rows:
        told = "production was proven on other test rows: it may have been trained on some of these"
        err.print(f"[yellow]warning[/] {told}", soft_wrap=True, highlight=False)
    if not compared.passed:
        err.print(f"[red]failed[/]  {escape(explain_failure(compared))}", soft_wrap=True, highlight=False)
        raise typer.Exit(1)
    out.print("[green]passed[/]")


def sign(
    bundle: Folder,
    key: Annotated[Path | None, Option(metavar="PEM", help="Private key. [default: sign with Sigstore]")] = None,
    password: Annotated[
        str | None, Option(envvar="TUNESHIP_KEY_PASSWORD", metavar="TEXT", help="Key's password. [default: ask]")
    ] = None,
    identity_token: Annotated[
        str | None, Option(envvar="TUNESHIP_IDENTITY_TOKEN", metavar="TOKEN", help="OpenID token of the signer.")
    ] = None,
    trust_config: TrustConfig = None,
) -> None:
    """Sign every file of a bundle (OpenSSF model signing).

    A key is P-256, P-384 or P-521. Without one, Sigstore signs for the identity of the token, the CI job, or a
    login in a browser.
    """
    from export.sign import sign_with_identity, sign_with_key

    if key is None:
        sign_with_identity(bundle, token=identity_token, trust_config=trust_config)
    else:
        if password is None and key.is_file() and b"ENCRYPTED" in key.read_bytes():
            password = typer.prompt(f"Password of {key}", hide_input=True, err=True)
        sign_with_key(bundle, key, password)
    out.print(f"signed  {escape(str(bundle / 'model.sig'))}", soft_wrap=True)


def card(bundle: Bundle) -> None:
    """Print a bundle's model card.

    It is written anew from the proof; exits with status 1 if the card inside the bundle differs.
    """
    from export.bundle.card import check_card
    from serving.bundle.bundle import Bundle as OpenBundle

    sys.stdout.write(check_card(OpenBundle.open(locate(bundle))))


def push(
    bundle: Folder,
    target: Target,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace what the target has.")] = False,
) -> None:
    """Upload a bundle or a run to a hub, a bucket or a registry.

    Only what is unaltered is uploaded. Nobody sees half of it; an interrupted push is repeated.
    """
    from stores.push import push as push_bundle
    from stores.runs.finished import is_run, push_run
    from stores.targets import parse_target

    place, upload = parse_target(target), push_bundle
    if is_run(bundle):
        from trainer.run.lock import require_locked  # imports torch
        from trainer.run.run import Run as TrainedRun

        require_locked(TrainedRun.open(bundle))
        upload = push_run
    with err.status(f"pushing to {escape(str(place))}…"):
        digest = upload(bundle, place, overwrite=overwrite)
    out.print(f"pushed  {escape(str(place))}#sha256={digest}", soft_wrap=True, highlight=False)


def pull(
    target: Target,
    output: Annotated[Path, Option("--output", "-o", metavar="DIR", parser=local, help="Folder for the bundle.")],
) -> None:
    """Download a bundle or a run, and check every file.

    TARGET#sha256=DIGEST is this one and no other. Files are cached; repeat the command to resume.
    """
    from stores.runs.finished import pull_any
    from stores.targets import parse_target

    place = parse_target(target)
    with err.status(f"pulling {escape(str(place))}…"):
        digest = pull_any(place, output)
    out.print(f"pulled  {escape(str(output))}  sha256 {digest}", soft_wrap=True, highlight=False)
