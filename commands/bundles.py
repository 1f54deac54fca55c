"""Run → bundle, and bundles on their way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from typer import Argument, Option

from commands.arguments import Bundle, Folder, Run, Target, Threads, TrustConfig, choice
from commands.terminal import fail, out, tell, warn
from commands.verbs import verb
from serving.errors import InputError, did_you_mean
from stores.locate import local, locate

LAYOUTS = ("bundle", "hub")


@verb(
    "tuneship export runs/support --output bundles/support",
    "tuneship export runs/support -o bundles/support --variant auto",
    "tuneship export runs/support -o hub/support --layout hub",
    stopped="no bundle was written, and an older one is as it was: repeat the command to begin anew",
)
def export(
    run: Run,
    output: Annotated[Path, Option("--output", "-o", metavar="BUNDLE", parser=local, help="Folder for the bundle.")],
    variant: Annotated[
        str | None,
        choice("fp32", "int8", "auto", help="Format of the weights; auto: the fastest that passes. [default: fp32]"),
    ] = None,
    fallback: Annotated[bool, Option(help="Add fp32 for machines where int8 fails its check.")] = False,
    layout: Annotated[
        str, choice(*LAYOUTS, help="hub: the folder that the Hugging Face Hub and transformers.js read.")
    ] = "bundle",
    device: Annotated[
        str,
        choice("cpu", "cuda", "auto", help="Where it is proven, and then serves; auto: a GPU if there is one."),
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

    if layout not in LAYOUTS:
        known = ", ".join(LAYOUTS)
        meant = did_you_mean(layout, LAYOUTS)
        raise InputError(f"--layout {layout} is unknown; accepted are: {known}{meant}", field="--layout")
    trained = TrainedRun.open(run)
    from commands.progress import show_progress
    from export.console import parity_table, variants_table
    from export.exporter import export_hub, export_run  # imports torch
    from export.proof.summary import summarize
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
        with show_progress():
            made = export_hub(trained, output, variant, threads=threads)
        for parity in made.proofs:
            out.print(parity_table(parity))
        for note in made.folder.notes:
            out.print(f"[yellow]![/] {escape(note)}", soft_wrap=True, highlight=False)
        tell({"hub": str(output), "bytes": made.bytes, "notes": made.folder.notes})
        tell({"proofs": [summarize(parity) for parity in made.proofs]})
        out.print(f"hub     {escape(str(output))}  {made.bytes / 1e6:.1f} MB", soft_wrap=True)
        return
    with show_progress():
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
    tell({"bundle": str(output), "bytes": result.bytes, "sha256": result.digest, "served": result.served})
    tell({"proofs": [summarize(result.parity)], "warnings": result.warnings})
    tell({"candidates": [each.to_json() for each in result.candidates]} if result.candidates else {})
    for warning in result.warnings:
        warn(warning)
    if result.candidates:
        out.print(variants_table(result.candidates, result.served))
    out.print(parity_table(result.parity))
    out.print(f"bundle  {escape(str(output))}  {result.bytes / 1e6:.1f} MB  sha256 {result.digest}", soft_wrap=True)


@verb(
    "tuneship compare runs/new bundles/new bundles/production",
    "tuneship compare runs/new bundles/new hf:team/intents --max-metric-drop 0.01",
    stopped="nothing was written",
)
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
    from commands.progress import show_progress
    from export.proof.comparison import compare_bundles, describe, explain_failure  # imports torch
    from serving.observability.progress import begin_step
    from serving.settings.settings import available_cpus

    with show_progress():
        begin_step("answering the test rows with both bundles…")
        compared = compare_bundles(
            trained, locate(bundle), locate(production), max_metric_drop, threads or available_cpus()
        )
    tell(compared.to_json())
    for line in describe(compared):
        out.print(escape(line), soft_wrap=True, highlight=False)
    if not compared.same_test_rows:
        warn("production was proven on other test rows: it may have been trained on some of these")
    if not compared.passed:
        fail(explain_failure(compared))
    out.print("[green]passed[/]")


@verb(
    "tuneship sign bundles/support --key private.pem",
    "tuneship sign bundles/support",
    stopped="repeat the command: the bundle is signed whole, or not at all",
)
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
    tell({"signature": str(bundle / "model.sig")})
    out.print(f"signed  {escape(str(bundle / 'model.sig'))}", soft_wrap=True)


@verb("tuneship card bundles/support", "tuneship card hf:team/intents")
def card(bundle: Bundle) -> None:
    """Print a bundle's model card.

    It is written anew from the proof; exits with status 1 if the card inside the bundle differs.
    """
    from export.bundle.card import check_card
    from serving.bundle.bundle import Bundle as OpenBundle

    text = check_card(OpenBundle.open(locate(bundle)))
    tell({"card": text})
    out.write(text)


@verb(
    "tuneship push bundles/support hf:team/intents",
    "tuneship push bundles/support s3://models/support --overwrite",
    "tuneship push bundles/support oci:ghcr.io/team/support:1.0",
    stopped="nobody sees a part of it: repeat the command to go on",
)
def push(
    bundle: Folder,
    target: Target,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace what the target has.")] = False,
) -> None:
    """Upload a bundle or a run to a hub, a bucket or a registry.

    Only what is unaltered is uploaded. Nobody sees half of it; an interrupted push is repeated.
    """
    from commands.progress import show_progress
    from serving.observability.progress import begin_step
    from stores.push import push as push_bundle
    from stores.runs.finished import is_run, push_run
    from stores.targets import parse_target

    place, upload = parse_target(target), push_bundle
    if is_run(bundle):
        from trainer.run.lock import require_locked  # imports torch
        from trainer.run.run import Run as TrainedRun

        require_locked(TrainedRun.open(bundle))
        upload = push_run
    with show_progress():
        begin_step(f"pushing to {place}…")
        digest = upload(bundle, place, overwrite=overwrite)
    tell({"target": f"{place}#sha256={digest}", "sha256": digest})
    out.print(f"pushed  {escape(str(place))}#sha256={digest}", soft_wrap=True, highlight=False)


@verb(
    "tuneship pull hf:team/intents --output bundles/support",
    "tuneship pull s3://models/support#sha256=… -o bundles/support",
    stopped="repeat the command to go on",
)
def pull(
    target: Target,
    output: Annotated[Path, Option("--output", "-o", metavar="DIR", parser=local, help="Folder for the bundle.")],
) -> None:
    """Download a bundle or a run, and check every file.

    TARGET#sha256=DIGEST is this one and no other. Files are cached; repeat the command to resume.
    """
    from commands.progress import show_progress
    from serving.observability.progress import begin_step
    from stores.runs.finished import pull_any
    from stores.targets import parse_target

    place = parse_target(target)
    with show_progress():
        begin_step(f"pulling {place}…")
        digest = pull_any(place, output)
    tell({"folder": str(output), "sha256": digest})
    out.print(f"pulled  {escape(str(output))}  sha256 {digest}", soft_wrap=True, highlight=False)
