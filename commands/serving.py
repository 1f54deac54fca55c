"""Bundle → answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.markup import escape
from typer import Argument, Option

from commands.arguments import Bundle, Threads, TrustConfig, TrustedKey, choice
from commands.terminal import fail, out, publish, tell
from commands.verbs import verb
from serving.errors import InputError
from stores.locate import locate, reach
from stores.targets import scrub

if TYPE_CHECKING:
    from serving.entrypoints.verify import Finding


@verb(
    "tuneship verify bundles/support",
    "tuneship verify bundles/support --key public.pem",
    "tuneship verify bundles/support --url https://models.example.com",
    stopped="nothing was changed",
)
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
    tell({"sha256": opened.digest, "findings": []})
    findings = Findings()
    findings.show(checks.check_files(opened, key or required_key(), required_date()))
    if identity or identity_provider:
        from export.sign import verify_identity

        if not (identity and identity_provider):
            raise InputError("--identity needs --identity-provider, and the other way round; give both")
        verify_identity(opened, identity, identity_provider, trust_config=trust_config)
        findings.show([checks.Finding("holds", f"every file was signed by {identity}")])
    if url is not None:
        findings.show(checks.check_server(opened, RemoteServer(url, api_key)))
    else:
        findings.show(checks.check_here(opened, threads or available_cpus()))
    out.print(f"sha256 {opened.digest}", soft_wrap=True)


class Findings:
    """Those that were shown, as they are made."""

    def __init__(self) -> None:
        self._shown: list[Finding] = []

    def show(self, findings: Iterable[Finding]) -> None:
        """Print each; exit with status 1 if one fails."""
        mark = {"holds": "[green]✓[/]", "warns": "[yellow]![/]", "fails": "[red]✗[/]"}
        for each in findings:
            self._shown.append(each)
            out.print(f"{mark[each.verdict]} {escape(each.text)}", soft_wrap=True, highlight=False)
            tell({"findings": [{"verdict": every.verdict, "text": every.text} for every in self._shown]})
        if failures := [each.text for each in self._shown if each.verdict == "fails"]:
            fail(f"{len(failures)} of {len(self._shown)} checks")


@verb(
    "tuneship predict bundles/support --input texts.csv --output answers.csv",
    "tuneship predict bundles/support -i 'texts/*.parquet' -o answers/",
    stopped="repeat the command to go on",
)
def predict(
    bundle: Bundle,
    input_: Annotated[
        str,
        Option("--input", "-i", metavar="PLACE", help="JSON Lines, CSV or Parquet: file, folder, pattern or URL."),
    ],
    output: Annotated[
        str, Option("--output", "-o", metavar="PLACE", help='The same rows with "outputs" or "error": FILE or FOLDER/.')
    ],
    text_column: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="Column of the text; repeat it for a pair. [default: inputs, text, …]"),
    ] = None,
    output_format: Annotated[
        str | None, choice("jsonl", "csv", "parquet", help="Form of a folder's parts. [default: as the input's]")
    ] = None,
    engine: Annotated[str, choice("process", "ray", help="One process, or workers on Ray.")] = "process",
    workers: Annotated[int | None, Option(min=1, metavar="N", help="Workers on Ray. [default: a CPU each]")] = None,
    rows_per_part: Annotated[
        int | None, Option(min=1, metavar="N", help="Rows that are done or not. [default: 10,000; 200 of generations]")
    ] = None,
    restart: Annotated[bool, Option("--restart", help="Discard what a stopped command has done.")] = False,
    require_signature: TrustedKey = None,
    threads: Threads = None,
) -> None:
    """Answer files of texts. Exits with status 1 if a row could not be answered.

    A command that was stopped goes on when it is repeated. See docs/deploy/batch.md.
    """
    from batch.command import Request, run
    from commands.progress import show_progress

    request = Request(
        bundle, input_, output, engine, tuple(text_column or ()), output_format, workers, threads, rows_per_part,
        require_signature,
    )  # fmt: skip
    with show_progress(), _stand_in(input_) as found:
        tally = run(request, found, restart=restart)
    tell({"output": scrub(output), "answered": tally.answered, "refused": tally.refused})
    out.print(f"{tally.answered:,} answered, {tally.refused:,} refused  →  {escape(scrub(output))}", soft_wrap=True)
    if tally.refused:
        fail(tally.first_refusal, "first refusal")


@contextmanager
def _stand_in(place: str) -> Iterator[dict[str, str]]:
    """JSON lines in the place of a table that only the trainer reads, where it is installed."""
    from batch.forms import form_of

    path = Path(place)
    try:
        from trainer.data.prediction_rows import as_json_lines
    except ImportError:  # an image that only serves
        yield {}
        return
    if form_of(place) or not path.is_file():
        yield {}
        return
    with as_json_lines(path) as lines:
        yield {} if lines == path else {place: str(lines)}


@verb(
    "tuneship explain bundles/support 'where is my parcel?'",
    "tuneship explain bundles/support 'stop it' --method shap --target cancel",
)
def explain(
    bundle: Bundle,
    text: Annotated[str, Argument(metavar="TEXT", help="A text or a question.")],
    other: Annotated[str | None, Argument(metavar="OTHER", help="A pair's second text, or the context.")] = None,
    method: Annotated[str, choice("occlusion", "shap", help="How words are scored.")] = "occlusion",
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
    explanation = explainer.explain(inputs, options)
    tell({"inputs": inputs, **explanation})
    out.print(render(inputs, explanation))


@verb(
    "tuneship serve bundles/support --port 3000",
    "tuneship serve hf:team/intents --api-keys-file keys.txt --host 0.0.0.0",
    "tuneship serve en=bundles/english de=bundles/german --watch 60",
    stopped="no server was started",
)
def serve(
    bundles: Annotated[
        list[str] | None,
        Argument(
            metavar="[NAME=]BUNDLE...",
            help="Bundles, targets, or a folder of bundles; the first is the default. [default: TUNESHIP_BUNDLE]",
        ),
    ] = None,
    port: Annotated[
        int | None,
        Option(envvar="PORT", min=1, max=65535, metavar="PORT", help="Port to listen on. [default: 3000]"),
    ] = None,
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
        str | None, choice("auto", "cpu", "cuda", help="Serve only variants proven there. [default: auto]")
    ] = None,
    watch: Annotated[
        int | None, Option(min=1, metavar="SECONDS", help="Look for new versions this often. [default: never]")
    ] = None,
    log_format: Annotated[str | None, choice("text", "json", help="Format of the log. [default: text]")] = None,
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
    from serving.settings.platforms import listening_port, served_bundle

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
    port = port or listening_port()

    def show_models(models: list[dict[str, Any]]) -> None:
        tell({"url": f"http://{f'[{host}]' if ':' in host else host}:{port}", "models": models})
        publish()

    serve_bundles(
        bundles or [served_bundle()],
        host=host,
        port=port,
        threads=threads,
        options=variables,
        reach=reach,
        on_ready=show_models,
    )
