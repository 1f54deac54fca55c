"""Tuneship's front door: baseline · train · replay · export · sign · verify · predict · explain · serve.

Each verb is a few lines; what it needs is imported inside, so that serving never loads torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from serving.errors import InputError, UserError

if TYPE_CHECKING:
    from serving.entrypoints.verify import Finding

app = typer.Typer(
    help="Fine-tune, prove, ship: from labelled text to a service whose answers are the ones you measured.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
out = Console()
err = Console(stderr=True)

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A finished run: what `tuneship train` made.")]
Bundle = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle: what `tuneship export` made.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key of the recipe; repeatable.")
]
TrustedKey = Annotated[
    Path | None, typer.Option(metavar="PEM", help="A public key; its owner must have signed every file.")
]
TrustConfig = Annotated[
    Path | None, typer.Option(metavar="JSON", help="Client trust configuration of a Sigstore of your own.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads. [default: all this process may use]")]


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe in YAML.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="The run's folder.")],
    set_: Overrides = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another run in RUN.")] = False,
) -> None:
    """Fine-tune as the recipe says. Run it again to resume an interrupted run."""
    from trainer.recipe.recipe import load_recipe

    settings = load_recipe(recipe, set_ or [])
    from trainer.train import train as run_training  # takes seconds, which a mistake in a recipe need not wait for

    run = run_training(settings, output, overwrite=overwrite)
    out.print(f"report  {escape(str(run.report))}", soft_wrap=True)


@app.command()
def replay(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Keep the repeated run. [default: removed]")
    ] = None,
    set_: Overrides = None,
) -> None:
    """Repeat a run from its lock.json and compare: data, versions, figures, and weights to the bit.

    What differs is named, the exit status is 1 then; RUN/replay.json has it all. `--set data.train=…` says where data
    lies now.
    """
    from trainer.replay import replay as replay_run

    found = replay_run(run, output, set_ or [], out)
    for check in found.checks:
        mark = "[green]✓[/]" if check.equal else "[red]✗[/]" if check.decides else "[yellow]![/]"
        out.print(f"{mark} {check.name}: {escape('; '.join(check.differences) or 'as locked')}", soft_wrap=True)
    if not found.trained:
        err.print("[red]error[/]  not repeated: what goes in is not what the lock names")
    if not found.equal:
        raise typer.Exit(1)


@app.command()
def baseline(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe in YAML.")],
    examples: Annotated[
        list[int] | None, typer.Option(min=0, metavar="N", help="Examples a label; repeatable. [default: 0 5 10]")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Choices of the examples.")] = 3,
    set_: Overrides = None,
) -> None:
    """Must I fine-tune at all? What sentence vectors reach without it, on the validation rows."""
    from trainer.baseline import baselines, few_shot_recipe
    from trainer.recipe.recipe import load_recipe
    from trainer.setup.training_setup import prepare_setup

    plan = prepare_setup(few_shot_recipe(load_recipe(recipe, set_ or [])), Path.cwd())
    table = Table("without fine-tuning", "training rows", "validation accuracy", "lowest – highest", box=None)
    with out.status("making sentence vectors…"):
        for found in baselines(plan, examples or [0, 5, 10], repeats):
            low, high = min(found.accuracies), max(found.accuracies)
            spread = f"{low:.1%} – {high:.1%}" if len(found.accuracies) > 1 else ""
            table.add_row(found.name, f"{found.rows:,}", f"{found.mean:.1%}", spread)
    out.print(table)


@app.command()
def export(
    run: Run,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="The bundle's folder.")],
    variant: Annotated[
        str, typer.Option(help="fp32; int8: a quarter of the size, twice the speed; auto: the fastest that holds.")
    ] = "fp32",
    fallback: Annotated[
        bool, typer.Option(help="Put fp32 behind int8, for machines on which int8 does not answer as proven.")
    ] = False,
    threads: Threads = None,
) -> None:
    """Convert a run to ONNX and prove that it answers as measured; only then write the bundle."""
    from trainer.run.run import Run as TrainedRun

    trained = TrainedRun.open(run)
    from export.console import parity_table, variants_table
    from export.exporter import export_run  # as above
    from serving.settings.settings import available_cpus

    with out.status("converting and proving…") as status:
        threads = threads or available_cpus()
        on_step = status.update if out.is_terminal else err.print  # a log gets a line a step
        result = export_run(trained, output, variant, threads=threads, fallback=fallback, on_step=on_step)
    if result.candidates:
        out.print(variants_table(result.candidates, result.parity.variant))
    out.print(parity_table(result.parity))
    out.print(f"bundle  {escape(str(output))}  {result.bytes / 1e6:.1f} MB  sha256 {result.digest}", soft_wrap=True)


@app.command()
def sign(
    bundle: Bundle,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM", help="A private key (P-256, P-384 or P-521). [default: sign as a Sigstore identity]"
        ),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(envvar="TUNESHIP_KEY_PASSWORD", help="Of an encrypted key; asked for where it is missing."),
    ] = None,
    identity_token: Annotated[
        str | None,
        typer.Option(envvar="TUNESHIP_IDENTITY_TOKEN", help="An OpenID token. [default: the CI job's, or a browser]"),
    ] = None,
    trust_config: TrustConfig = None,
) -> None:
    """Sign every file of a bundle, in OpenSSF's model-signing format."""
    from export.sign import sign_with_identity, sign_with_key

    if key is None:
        sign_with_identity(bundle, token=identity_token, trust_config=trust_config)
    else:
        if password is None and key.is_file() and b"ENCRYPTED" in key.read_bytes():
            password = typer.prompt(f"password of {key}", hide_input=True, err=True)
        sign_with_key(bundle, key, password)
    out.print(f"signed  {escape(str(bundle / 'model.sig'))}", soft_wrap=True)


@app.command()
def card(bundle: Bundle) -> None:
    """Print a bundle's model card, made anew from its proof; exit status 1 where the one inside is another."""
    from export.bundle.card import check_card
    from serving.bundle.bundle import Bundle as OpenBundle

    sys.stdout.write(check_card(OpenBundle.open(bundle)))


@app.command()
def verify(
    bundle: Bundle,
    url: Annotated[
        str | None, typer.Option(help="Ask this server instead: does it serve the bundle, and answer as recorded?")
    ] = None,
    api_key: Annotated[str | None, typer.Option(envvar="TUNESHIP_API_KEY", help="The server's, where it asks.")] = None,
    key: TrustedKey = None,
    identity: Annotated[
        str | None, typer.Option(help="Who must have signed: an e-mail address, or a workload's URI.")
    ] = None,
    identity_provider: Annotated[
        str | None, typer.Option(metavar="URL", help="The OpenID provider that vouched for them.")
    ] = None,
    trust_config: TrustConfig = None,
    threads: Threads = None,
) -> None:
    """Re-check every hash of a bundle and replay its golden answers, here or at a server; on demand, its signature."""
    from serving.bundle.bundle import Bundle as OpenBundle
    from serving.entrypoints import verify as verifying
    from serving.entrypoints.remote_client import RemoteServer
    from serving.settings.settings import available_cpus, required_key

    opened = OpenBundle.open(bundle)
    show_findings(verifying.files(opened, key or required_key()))
    if identity or identity_provider:
        from export.sign import verify_identity

        if not (identity and identity_provider):
            raise InputError("--identity and --identity-provider go together: who signed, and who vouches for them")
        verify_identity(opened, identity, identity_provider, trust_config=trust_config)
        out.print(f"[green]✓[/] every file was signed by {escape(identity)}", soft_wrap=True)
    if url is not None:
        show_findings(verifying.there(opened, RemoteServer(url, api_key)))
    else:
        show_findings(verifying.here(opened, threads or available_cpus()))
    out.print(f"sha256 {opened.digest}", soft_wrap=True)


def show_findings(findings: Iterable[Finding]) -> None:
    """Print each; where one fails, the exit status is 1."""
    mark = {"holds": "[green]✓[/]", "warns": "[yellow]![/]", "fails": "[red]✗[/]"}
    failed = False
    for each in findings:
        out.print(f"{mark[each.verdict]} {escape(each.text)}", soft_wrap=True, highlight=False)
        failed = failed or each.verdict == "fails"
    if failed:
        raise typer.Exit(1)


@app.command()
def predict(
    bundle: Bundle,
    input_: Annotated[Path, typer.Option("--input", "-i", metavar="FILE", help='JSON lines: {"inputs": "a text"}.')],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help='The same lines with "outputs".')],
    require_signature: TrustedKey = None,
    threads: Threads = None,
) -> None:
    """Answer a file of texts, in order. A line that cannot be answered gets an "error", and the exit status is 1."""
    from serving.entrypoints.predict_file import predict_file, reading
    from serving.inference.predictor import Predictor
    from serving.settings.settings import available_cpus, required_key

    key = require_signature or required_key()
    predictor = Predictor.open(bundle, threads=threads or available_cpus(), trusted_key=key)
    with reading(input_, err) as advance:
        tally = predict_file(predictor, input_, output, advance)
    out.print(f"{tally.answered:,} answered, {tally.refused:,} refused  →  {escape(str(output))}", soft_wrap=True)
    if tally.refused:
        err.print(f"[red]first refusal[/]  {escape(tally.first_refusal)}", soft_wrap=True)
        raise typer.Exit(1)


@app.command()
def explain(
    bundle: Bundle,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A text, or a question.")],
    other: Annotated[str | None, typer.Argument(metavar="OTHER", help="A pair's second text, or the context.")] = None,
    method: Annotated[str, typer.Option(help="occlusion, or shap.")] = "occlusion",
    target: Annotated[str | None, typer.Option(help="The label to explain. [default: the answered one]")] = None,
) -> None:
    """Colour the words that an answer rests on: green speaks for it, red against it."""
    from serving.explain.explainer import Explainer
    from serving.explain.parameters import ExplainParameters
    from serving.explain.terminal import build_input, render
    from serving.inference.predictor import Predictor
    from serving.protocols.base import parameters_of
    from serving.settings.settings import required_key

    options = parameters_of({"method": method, "target": target}, ExplainParameters)
    explainer = Explainer(Predictor.open(bundle, trusted_key=required_key()))
    inputs = build_input(explainer.task, text, other)
    out.print(render(inputs, explainer.explain(inputs, options)))


@app.command()
def serve(
    bundles: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]BUNDLE...", help="Bundles, or a folder of bundles; the first is the default."),
    ],
    port: Annotated[int, typer.Option(envvar="PORT", min=1, max=65535, help="TCP port.")] = 3000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    grpc_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Speak the Open Inference Protocol over gRPC here. [default: no]"),
    ] = None,
    require_signature: TrustedKey = None,
    threads: Threads = None,
    watch: Annotated[
        int | None,
        typer.Option(min=1, metavar="SECONDS", help="Look so often for new versions. [default: only on SIGHUP]"),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="text|json", help="Log lines for people or machines.")
    ] = None,
    log_requests: Annotated[bool | None, typer.Option(help="A line for each request. [default: if json]")] = None,
    log_inputs: Annotated[bool | None, typer.Option(help="With the callers' texts in it. [default: no]")] = None,
    log_labels: Annotated[bool | None, typer.Option(help="With the labels answered. [default: no]")] = None,
    api_keys_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Ask for one of its keys.")] = None,
    open_metrics: Annotated[bool | None, typer.Option(help="/metrics needs no key. [default: no]")] = None,
    cors_origin: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Let its pages call; repeatable.")
    ] = None,
    allowed_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Answer only under this name; repeatable.")
    ] = None,
) -> None:
    """Serve bundles over HTTP until stopped; what was accepted is still answered.

    On SIGHUP, or when --watch sees a change, a new version is verified and warmed before it takes the old one's place.
    Each option has a variable too: docs/settings.md.
    """
    from serving.entrypoints.serve import serve_bundles

    options = {
        "TUNESHIP_GRPC_PORT": grpc_port,
        "TUNESHIP_WATCH": watch,
        "TUNESHIP_LOG_FORMAT": log_format,
        "TUNESHIP_LOG_REQUESTS": log_requests,
        "TUNESHIP_LOG_INPUTS": log_inputs,
        "TUNESHIP_LOG_LABELS": log_labels,
        "TUNESHIP_API_KEYS_FILE": api_keys_file,
        "TUNESHIP_OPEN_METRICS": open_metrics,
        "TUNESHIP_CORS_ORIGINS": " ".join(cors_origin or []) or None,
        "TUNESHIP_ALLOWED_HOSTS": " ".join(allowed_host or []) or None,
    }
    given = {name: str(value) for name, value in options.items() if value is not None}
    serve_bundles(bundles, host=host, port=port, threads=threads, trusted_key=require_signature, options=given)


@contextmanager
def readable_errors() -> Iterator[None]:
    """A user's mistake is a message and an exit status, never a traceback."""
    try:
        yield
    except UserError as error:
        err.print(f"[red]error[/]  {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("\nstopped; an interrupted training resumes when the same command is run again")
        sys.exit(130)


def main() -> None:
    """The entry point of the ``tuneship`` command."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # Torch's threads spin while they wait; for long, two trainings on one machine would slow each other about tenfold.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    with readable_errors():
        app(standalone_mode=True)


if __name__ == "__main__":
    main()
