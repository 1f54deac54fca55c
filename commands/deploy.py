"""Bundle → deployment: ``tuneship deploy measure``, ``plan`` and ``image``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from typer import Argument, Option

from commands.arguments import Bundle, TrustedKey
from commands.completion import deployments
from commands.terminal import err, out, tell
from commands.verbs import Group, add_verbs, verb
from stores.locate import locate

if TYPE_CHECKING:
    from deploy.measurement.measurement import Measurement
    from deploy.plan.plan import Plan
    from serving.bundle.bundle import Bundle as OpenBundle

app = typer.Typer(
    help="Measure a bundle's server; write its deployment.", cls=Group, no_args_is_help=True, rich_markup_mode=None
)

Cpus = Annotated[int, Option(min=1, metavar="N", help="CPUs of a replica, and threads.")]
Seconds = Annotated[float, Option(min=0.5, metavar="SECONDS", help="Seconds of load on the server.")]


@verb(
    "tuneship deploy measure bundles/support --output measured.json",
    "tuneship deploy measure bundles/support -o measured.json --cpus 2",
    stopped="nothing was written",
)
def measure(
    bundle: Bundle,
    output: Annotated[Path, Option("--output", "-o", metavar="FILE", help="JSON file for the measurement.")],
    cpus: Cpus = 1,
    seconds: Seconds = 8.0,
) -> None:
    """Measure a bundle's server on this machine.

    Serves the bundle on some CPUs and loads it from others: start, memory, times.
    """
    from serving.bundle.bundle import Bundle as OpenBundle

    measured = _measure(OpenBundle.open(locate(bundle)), cpus, seconds)
    output.write_text(measured.to_json(), encoding="utf-8")
    tell({"measurement": str(output), **json.loads(measured.to_json())})
    rate, peak = measured.full_requests_per_second, measured.memory_bytes / 2**20
    out.print(f"{rate:,.0f} requests/s, {peak:,.0f} MiB  →  {escape(str(output))}", soft_wrap=True)


@verb(
    "tuneship deploy plan helm bundles/support --image NAME@sha256:DIGEST",
    "tuneship deploy plan lambda-sam bundles/support --image NAME@sha256:DIGEST \\",
    "  --requests-per-second 20 --p99-ms 100",
    stopped="nothing was written",
)
def plan(
    target: Annotated[
        str,
        Argument(metavar="TARGET", autocompletion=deployments, help="Such as lambda-sam or helm: docs/deploy/plan.md."),
    ],
    bundle: Bundle,
    image: Annotated[str, Option(metavar="NAME@sha256:DIGEST", help="The pushed image, with the bundle inside.")],
    model_image: Annotated[
        str | None, Option(metavar="NAME@sha256:DIGEST", help="For kserve: an image with the bundle alone.")
    ] = None,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="DIR", help="New folder. [default: deployments/NAME-TARGET]")
    ] = None,
    name: Annotated[str | None, Option(metavar="NAME", help="Of the deployment. [default: the bundle's]")] = None,
    requests_per_second: Annotated[
        float | None, Option(min=0.001, metavar="N", help="Plan replicas for this load, and one more.")
    ] = None,
    p99_ms: Annotated[
        float | None, Option(min=0.001, metavar="M", help="Most milliseconds of 99 of 100 requests.")
    ] = None,
    cpus: Cpus = 1,
    seconds: Seconds = 8.0,
    measurement: Annotated[
        Path | None, Option(metavar="FILE", help="Measured before (see measure). [default: measure here]")
    ] = None,
    prices: Annotated[Path | None, Option(metavar="FILE", help="Price file. [default: deploy/prices.json]")] = None,
    require_signature: TrustedKey = None,
) -> None:
    """Write a folder that deploys a bundle to a target.

    Verifies the bundle; takes sizes and costs from a measurement. Touches no cloud: PLAN.md in the folder has the
    commands that do.
    """
    from deploy.measurement.measurement import Measurement
    from deploy.plan.check import check_bundle
    from deploy.plan.folder import require_empty, write_plan
    from deploy.plan.plan import Plan, Request
    from deploy.plan.prices import PRICES, Prices

    request = Request.of(target, image, name, requests_per_second, p99_ms, model_image)
    price_list = Prices.read(prices or PRICES)
    opened, signature = check_bundle(locate(bundle), require_signature)
    folder = output or Path("deployments") / f"{request.name_for(opened)}-{target}"
    require_empty(folder)
    measured = Measurement.read(measurement, opened) if measurement else _measure(opened, cpus, seconds)
    made = Plan(request, opened, measured, price_list, signature)
    write_plan(made, folder)
    _show(made, folder)


@verb(
    "tuneship deploy image bundles/support --tag support:1.0",
    "tuneship deploy image bundles/support -- --build-arg FINAL=distroless",
    stopped="the image of before is as it was",
)
def image(
    bundle: Bundle,
    docker_options: Annotated[
        list[str] | None, Argument(metavar="[-- DOCKER OPTIONS]", help="Further options of docker build.")
    ] = None,
    tag: Annotated[str, Option(metavar="NAME:TAG", help="Name of the image.")] = "tuneship:latest",
    bill: Annotated[Path, Option(metavar="FILE", help="Its bill of materials.")] = Path("image.cdx.json"),
    wheel: Annotated[
        list[Path] | None, Option(metavar="FILE", help="A wheel of extensions that the bundle needs. Repeatable.")
    ] = None,
    require_signature: TrustedKey = None,
) -> None:
    """Build the Docker image that serves a bundle.

    Verifies the bundle. Needs Docker, and no checkout: code, packages and Dockerfile are those installed here.
    """
    from deploy.image.build import build_image
    from deploy.plan.check import check_bundle

    opened, _ = check_bundle(locate(bundle), require_signature)
    built = build_image(opened.root, tag, bill, docker_options or [], wheel or [])
    tell({"tag": tag, "image": built.number, "bytes": built.size, "bill": str(bill)})
    out.print(f"{tag}  {built.number}, {built.size / 1e6:,.0f} MB", highlight=False, soft_wrap=True)
    out.print(f"bill  →  {escape(str(bill))}", soft_wrap=True)


def _measure(bundle: OpenBundle, cpus: int, seconds: float) -> Measurement:
    from commands.progress import show_progress
    from deploy.measurement.measure import measure as measure_bundle
    from serving.observability.progress import begin_step

    with show_progress():
        begin_step(f"serving the bundle on {cpus} CPUs and measuring…")
        return measure_bundle(bundle, cpus, seconds)


def _show(made: Plan, folder: Path) -> None:
    for warning in made.warnings():
        err.print(f"[yellow]![/] {escape(warning)}", soft_wrap=True, highlight=False)
    tell(made.to_json() | {"folder": str(folder)})
    deployment, service = made.deployment, made.service
    out.print(f"{deployment.memory_mb:,} MiB, {deployment.cpus} CPUs, {deployment.min_replicas} replicas or more")
    out.print(f"a replica holds {made.replica_rate:,.4g} requests/s", highlight=False)
    if service:
        cost = service.cost(made.replica_rate)
        out.print(f"{cost:,.2f} {made.prices.currency} a million requests on {escape(service.name)}", highlight=False)
    out.print(f"plan  →  {escape(str(folder / 'PLAN.md'))}", soft_wrap=True)


add_verbs(app, {"Commands": (measure, plan, image)})
