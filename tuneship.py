"""The command line: baseline · train · replay · import · export · sign · card · verify · predict · explain ·
serve · push · pull.

Each command imports what it needs itself, so that serving never loads torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer import Argument, Option

from serving.errors import InputError, UserError
from serving.files import explain as explain_file_error
from stores.locate import local, locate, reach

if TYPE_CHECKING:
    from serving.entrypoints.verify import Finding

app = typer.Typer(
    help="Fine-tune a text model, prove that its ONNX export answers the same, and serve it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
out = Console()
err = Console(stderr=True)

Run = Annotated[Path, Argument(metavar="RUN", parser=local, help="The folder of a finished run (see train).")]
Folder = Annotated[Path, Argument(metavar="BUNDLE", parser=local, help="The folder of a bundle (see export).")]
Bundle = Annotated[str, Argument(metavar="BUNDLE", help="The folder of a bundle (see export), or a target (see pull).")]
Target = Annotated[str, Argument(metavar="TARGET", help="hf:OWNER/NAME, s3://…, oci:…, others: docs/stores.md.")]
Overrides = Annotated[
    list[str] | None, Option("--set", metavar="KEY=VALUE", help="Override a recipe's key. Repeatable.")
]
TrustedKey = Annotated[Path | None, Option(metavar="PEM", help="Require files signed with this public key.")]
TrustConfig = Annotated[Path | None, Option(metavar="JSON", help="Trust configuration of a private Sigstore.")]
Threads = Annotated[int | None, Option(min=1, metavar="N", help="CPU threads. [default: all available CPUs]")]


@app.command()
def train(
    recipe: Annotated[Path, Argument(metavar="RECIPE", help="A YAML file.")],
    output: Annotated[Path, Option("--output", "-o", metavar="RUN", parser=local, help="Folder for the run.")],
    set_: Overrides = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace another run in that folder.")] = False,
) -> None:
    """Fine-tune a model as a recipe says.

    To resume an interrupted run, repeat the command.
    """
    from trainer.recipe.recipe import load_recipe

    settings = load_recipe(recipe, set_ or [])
    from export.rehearsal import rehearse  # imports torch; a mistake in the recipe shows before
    from trainer.train import train as run_training

    run = run_training(settings, output, overwrite=overwrite, check=rehearse)
    out.print(f"report  {escape(str(run.report))}", soft_wrap=True)


@app.command()
def replay(
    run: Run,
    output: Annotated[
        Path | None,
        Option("--output", "-o", metavar="DIR", parser=local, help="Keep the repeated run. [default: remove]"),
    ] = None,
    set_: Overrides = None,
) -> None:
    """Repeat a run from its lock.json and report every difference.

    Compares data, versions, metrics and weights, writes RUN/replay.json and exits with status 1 if something differs.
    If the data has moved, say where it is with --set data.train=FILE.
    """
    from trainer.replay import replay as replay_run

    result = replay_run(run, output, set_ or [], out)
    for check in result.checks:
        mark = "[green]✓[/]" if check.equal else "[red]✗[/]" if check.decides else "[yellow]![/]"
        out.print(f"{mark} {check.name}: {escape('; '.join(check.differences) or 'as locked')}", soft_wrap=True)
    if not result.trained:
        err.print("[red]error[/]  not repeated: the inputs differ from those in lock.json")
    if not result.equal:
        raise typer.Exit(1)


@app.command()
def baseline(
    recipe: Annotated[Path, Argument(metavar="RECIPE", help="A YAML file.")],
    examples: Annotated[
        list[int] | None, Option(min=0, metavar="N", help="Examples per label. [default: 0 5 10]")
    ] = None,
    repeats: Annotated[int, Option(min=1, metavar="N", help="Random samples of the examples.")] = 3,
    set_: Overrides = None,
) -> None:
    """Measure the accuracy of sentence vectors without fine-tuning."""
    from trainer.baseline import baselines, few_shot_recipe
    from trainer.recipe.recipe import load_recipe
    from trainer.setup.training_setup import prepare_setup

    plan = prepare_setup(few_shot_recipe(load_recipe(recipe, set_ or [])), Path.cwd())
    table = Table("without fine-tuning", "training rows", "validation accuracy", "lowest – highest", box=None)
    with out.status("making sentence vectors…"):
        for result in baselines(plan, examples or [0, 5, 10], repeats):
            low, high = min(result.accuracies), max(result.accuracies)
            spread = f"{low:.1%} – {high:.1%}" if len(result.accuracies) > 1 else ""
            table.add_row(result.name, f"{result.rows:,}", f"{result.mean:.1%}", spread)
    out.print(table)


@app.command("import")
def import_(
    checkpoint: Annotated[str, Argument(metavar="CHECKPOINT", help="A trained model: a folder or a hub id.")],
    rows: Annotated[
        Path, Option("--rows", metavar="FILE", help="Rows to prove it on, with labels or without: CSV, JSON Lines, …")
    ],
    output: Annotated[Path, Option("--output", "-o", metavar="RUN", help="Folder for the run.")],
    task: Annotated[str | None, Option(metavar="TASK", help="What it is for. [default: as the model says]")] = None,
    labels: Annotated[
        Path | None, Option("--labels", metavar="FILE", help="Names of its labels, one a line. [default: its own]")
    ] = None,
    text: Annotated[str | None, Option(metavar="COLUMN", help="Column of the text. [default: text]")] = None,
    text_pair: Annotated[str | None, Option(metavar="COLUMN", help="Column of a pair's second text.")] = None,
    label: Annotated[str | None, Option(metavar="COLUMN", help="Column of the label. [default: label, if any]")] = None,
    calibration_rows: Annotated[
        Path | None, Option(metavar="FILE", help="Rows for int8. [default: a fifth of --rows, which are not proven on]")
    ] = None,
    max_length: Annotated[int | None, Option(min=4, metavar="N", help="Tokens a text. [default: the model's]")] = None,
    revision: Annotated[str | None, Option(metavar="REVISION", help="The hub model's commit, branch or tag.")] = None,
    set_: Overrides = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace another run in that folder.")] = False,
) -> None:
    """Make a run of a model that was trained elsewhere.

    Takes models of transformers, sentence-transformers (CrossEncoder too), SetFit, and adapters of PEFT.
    """
    from trainer.imports.labels import read_labels

    data = {"train": str(rows), "text": text, "text_pair": text_pair, "label": label, "max_length": max_length}
    if calibration_rows:
        data |= {"train": str(calibration_rows), "test": str(rows)}
    mapping = {"task": task, "model": checkpoint, "model_revision": revision, "data": _given(data)}
    names = read_labels(labels) if labels else None
    from export.rehearsal import rehearse_checkpoint  # imports torch
    from trainer.imports.importer import import_checkpoint

    run = import_checkpoint(
        _given(mapping), output, labels=names, overrides=set_ or [], overwrite=overwrite, check=rehearse_checkpoint
    )
    out.print(f"report  {escape(str(run.report))}", soft_wrap=True)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


@app.command()
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
        result = export_run(trained, output, variant or "fp32", threads=threads, fallback=fallback, device=proven_on)
    if result.candidates:
        out.print(variants_table(result.candidates, result.parity.variant))
    out.print(parity_table(result.parity))
    out.print(f"bundle  {escape(str(output))}  {result.bytes / 1e6:.1f} MB  sha256 {result.digest}", soft_wrap=True)


@app.command()
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


@app.command()
def card(bundle: Bundle) -> None:
    """Print a bundle's model card.

    It is written anew from the proof; exits with status 1 if the card inside the bundle differs.
    """
    from export.bundle.card import check_card
    from serving.bundle.bundle import Bundle as OpenBundle

    sys.stdout.write(check_card(OpenBundle.open(locate(bundle))))


@app.command()
def verify(
    bundle: Bundle,
    url: Annotated[str | None, Option(metavar="URL", help="Check a server that serves the bundle.")] = None,
    api_key: Annotated[
        str | None, Option(envvar="TUNESHIP_API_KEY", metavar="KEY", help="The server's API key.")
    ] = None,
    key: TrustedKey = None,
    identity: Annotated[str | None, Option(metavar="NAME", help="Require this signer: e-mail address or URI.")] = None,
    identity_provider: Annotated[str | None, Option(metavar="URL", help="OpenID provider of the signer.")] = None,
    trust_config: TrustConfig = None,
    threads: Threads = None,
) -> None:
    """Check a bundle's files, signature and golden answers.

    With --url, a server answers instead of this machine. Exits with status 1 if a check fails.
    """
    from serving.bundle.bundle import Bundle as OpenBundle
    from serving.entrypoints import verify as checks
    from serving.entrypoints.remote_client import RemoteServer
    from serving.settings.settings import available_cpus, required_date, required_key

    opened = OpenBundle.open(locate(bundle))
    show_findings(checks.check_files(opened, key or required_key(), required_date()))
    if identity or identity_provider:
        from export.sign import verify_identity

        if not (identity and identity_provider):
            raise InputError("--identity needs --identity-provider, and the other way round; give both")
        verify_identity(opened, identity, identity_provider, trust_config=trust_config)
        out.print(f"[green]✓[/] every file was signed by {escape(identity)}", soft_wrap=True)
    if url is not None:
        show_findings(checks.check_server(opened, RemoteServer(url, api_key)))
    else:
        show_findings(checks.check_here(opened, threads or available_cpus()))
    out.print(f"sha256 {opened.digest}", soft_wrap=True)


def show_findings(findings: Iterable[Finding]) -> None:
    """Print each finding; exit with status 1 if one fails."""
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
    input_: Annotated[
        Path, Option("--input", "-i", metavar="FILE", help='JSON Lines such as {"inputs": "a text"}, or a table.')
    ],
    output: Annotated[Path, Option("--output", "-o", metavar="FILE", help='The same lines with "outputs" or "error".')],
    require_signature: TrustedKey = None,
    threads: Threads = None,
) -> None:
    """Answer a file of texts. Exits with status 1 if a line could not be answered."""
    from serving.entrypoints.predict_file import predict_file, progress_bar
    from serving.inference.predictor import Predictor
    from serving.settings.settings import available_cpus, required_date, required_key

    key, date = require_signature or required_key(), required_date()
    predictor = Predictor.open(locate(bundle), threads=threads or available_cpus(), trusted_key=key, created_after=date)
    with _as_json_lines(input_) as lines, progress_bar(lines, err) as advance:
        tally = predict_file(predictor, lines, output, advance)
    out.print(f"{tally.answered:,} answered, {tally.refused:,} refused  →  {escape(str(output))}", soft_wrap=True)
    if tally.refused:
        err.print(f"[red]first refusal[/]  {escape(tally.first_refusal)}", soft_wrap=True)
        raise typer.Exit(1)


@contextmanager
def _as_json_lines(path: Path) -> Iterator[Path]:
    """Tables too, where the trainer is installed."""
    try:
        from trainer.data.prediction_rows import as_json_lines
    except ImportError:  # an image that only serves
        yield path
        return
    with as_json_lines(path) as lines:
        yield lines


@app.command()
def explain(
    bundle: Bundle,
    text: Annotated[str, Argument(metavar="TEXT", help="A text or a question.")],
    other: Annotated[str | None, Argument(metavar="OTHER", help="A pair's second text, or the context.")] = None,
    method: Annotated[str, Option(metavar="occlusion|shap", help="How words are scored.")] = "occlusion",
    target: Annotated[str | None, Option(metavar="LABEL", help="Label to explain. [default: the best]")] = None,
) -> None:
    """Show the words that an answer rests on.

    Words in green speak for the answer, words in red against it.
    """
    from serving.explain.explainer import Explainer
    from serving.explain.parameters import ExplainParameters
    from serving.explain.terminal import build_input, render
    from serving.inference.predictor import Predictor
    from serving.protocols.base import parse_parameters
    from serving.settings.settings import required_date, required_key

    options = parse_parameters({"method": method, "target": target}, ExplainParameters)
    explainer = Explainer(Predictor.open(locate(bundle), trusted_key=required_key(), created_after=required_date()))
    inputs = build_input(explainer.task, text, other)
    out.print(render(inputs, explainer.explain(inputs, options)))


@app.command()
def serve(
    bundles: Annotated[
        list[str],
        Argument(
            metavar="[NAME=]BUNDLE...", help="Bundles, targets, or a folder of bundles; the first is the default."
        ),
    ],
    port: Annotated[int, Option(envvar="PORT", min=1, max=65535, metavar="PORT", help="Port to listen on.")] = 3000,
    host: Annotated[str, Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    grpc_port: Annotated[
        int | None, Option(min=1, max=65535, metavar="PORT", help="Port for gRPC. [default: no gRPC]")
    ] = None,
    root_path: Annotated[
        str | None, Option(metavar="PATH", help="Path prefix of a load balancer, such as /support. [default: none]")
    ] = None,
    require_signature: TrustedKey = None,
    created_after: Annotated[
        str | None, Option(metavar="DATE", help="Refuse bundles exported before; needs --require-signature.")
    ] = None,
    threads: Threads = None,
    device: Annotated[
        str | None, Option(metavar="auto|cpu|cuda", help="Serve only variants proven there. [default: auto]")
    ] = None,
    watch: Annotated[
        int | None, Option(min=1, metavar="SECONDS", help="Look for new versions this often. [default: never]")
    ] = None,
    log_format: Annotated[str | None, Option(metavar="text|json", help="Format of the log. [default: text]")] = None,
    log_requests: Annotated[bool | None, Option(help="Log every request. [default: only with json]")] = None,
    log_inputs: Annotated[bool | None, Option(help="Log the texts of requests. [default: no]")] = None,
    log_labels: Annotated[bool | None, Option(help="Log the predicted labels. [default: no]")] = None,
    api_keys_file: Annotated[Path | None, Option(metavar="FILE", help="Require an API key of this file.")] = None,
    open_metrics: Annotated[bool | None, Option(help="Serve /metrics without an API key. [default: no]")] = None,
    cors_origin: Annotated[
        list[str] | None, Option(metavar="ORIGIN", help="Allow calls from pages of this origin. Repeatable.")
    ] = None,
    allowed_host: Annotated[
        list[str] | None, Option(metavar="NAME", help="Accept only requests to this Host. Repeatable.")
    ] = None,
) -> None:
    """Serve bundles over HTTP. When stopped, it answers the requests it has accepted.

    On SIGHUP, or when --watch finds a new version, it verifies and warms up the new version and then serves it instead
    of the old one. Each option can be set by an environment variable: see docs/settings.md.
    """
    from serving.entrypoints.serve import serve_bundles

    options = {
        "TUNESHIP_GRPC_PORT": grpc_port,
        "TUNESHIP_ROOT_PATH": root_path,
        "TUNESHIP_REQUIRE_SIGNATURE": require_signature,
        "TUNESHIP_CREATED_AFTER": created_after,
        "TUNESHIP_DEVICE": device,
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
    variables = {name: str(value) for name, value in options.items() if value is not None}
    serve_bundles(bundles, host=host, port=port, threads=threads, options=variables, reach=reach)


@app.command()
def push(
    bundle: Folder,
    target: Target,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace what the target has.")] = False,
) -> None:
    """Upload a bundle or a run to a hub, a bucket or a registry.

    Only what is unaltered is uploaded. Nobody sees half of it; an interrupted push is repeated.
    """
    from stores.push import push as push_bundle
    from stores.runs import is_run, push_run
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


@app.command()
def pull(
    target: Target,
    output: Annotated[Path, Option("--output", "-o", metavar="DIR", parser=local, help="Folder for the bundle.")],
) -> None:
    """Download a bundle or a run, and check every file.

    TARGET#sha256=DIGEST is this one and no other. Files are cached; repeat the command to resume.
    """
    from stores.runs import pull_any
    from stores.targets import parse_target

    place = parse_target(target)
    with err.status(f"pulling {escape(str(place))}…"):
        digest = pull_any(place, output)
    out.print(f"pulled  {escape(str(output))}  sha256 {digest}", soft_wrap=True, highlight=False)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Print a UserError, and what a file system refuses, without a traceback and exit with status 1."""
    try:
        yield
    except Exception as error:
        message = str(error) if isinstance(error, UserError) else explain_file_error(error)
        if message is None:
            raise
        err.print(f"[red]error[/]  {escape(message)}", soft_wrap=True, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("\nstopped; repeat the command to resume what was interrupted")
        sys.exit(130)


def main() -> None:
    """The entry point of the ``tuneship`` command."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # Torch's threads spin while they wait: with the default, two trainings on one machine would slow each other down.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    with readable_errors():
        app(standalone_mode=True)


if __name__ == "__main__":
    main()
