"""PLAN.md: what is deployed, why it has these sizes, what it costs, what to run next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deploy.plan.plan import Plan
from deploy.plan.sizing import MEMORY_MARGIN


def plan_page(plan: Plan, values_file: str) -> str:
    sections = [
        _what(plan, values_file),
        _measured(plan),
        _sizes(plan),
        _costs(plan),
        _yours(plan),
        ["## Next", "", "```sh", *plan.request.target.commands(plan.deployment), "```"],
    ]
    return "\n".join(line for section in sections if section for line in [*section, ""]).rstrip() + "\n"


def _what(plan: Plan, values_file: str) -> list[str]:
    deployment, manifest = plan.deployment, plan.bundle.manifest
    return [
        f"# {deployment.name} on {plan.request.target.name}",
        "",
        f"Rendered and validated, not deployed. All that differs from deploy/{plan.request.target.folder} is in "
        f"`{values_file}`.",
        "",
        *table(
            ("", "value"),
            [
                ("bundle", f"{manifest.name}, {manifest.task}, {plan.measurement.variant}"),
                ("bundle's sha256", f"`{deployment.bundle_digest}`"),
                ("signature", plan.signature),
                ("image", f"`{deployment.image}`"),
                *([("bundle's image", f"`{deployment.model_image}`")] if deployment.model_image else []),
            ],
        ),
    ]


def _measured(plan: Plan) -> list[str]:
    measured = plan.measurement
    apart = "" if measured.load_apart else " The load shared the server's CPUs: times are longer than they need be."
    return [
        "## Measured",
        "",
        f"On {measured.machine['cpu']}, {_count(measured.cpus, 'CPU')}, {measured.date:%Y-%m-%d %H:%M} UTC, with the "
        f"golden inputs.{apart} Another CPU takes another time: measure on the machine that will serve "
        "(`tuneship deploy measure`) and plan with `--measurement`.",
        "",
        *table(
            ("figure", "value"),
            [
                ("ready after", f"{measured.ready_seconds:.2f} s"),
                ("peak memory", f"{measured.memory_bytes / 2**20:,.0f} MiB"),
                ("alone, p50 and p99", f"{_ms(measured.lone_p50_seconds)}, {_ms(measured.lone_p99_seconds)}"),
                (
                    f"with {measured.connections} connections",
                    f"{measured.full_requests_per_second:,.0f} requests/s, p99 {_ms(measured.full_p99_seconds)}",
                ),
            ],
        ),
    ]


def _sizes(plan: Plan) -> list[str]:
    deployment = plan.deployment
    instance = f", {deployment.instance_type}" if deployment.instance_type else ""
    return [
        "## Sizes",
        "",
        *table(
            ("", "value", "because"),
            [
                (
                    "memory",
                    f"{deployment.memory_mb:,} MiB",
                    f"{MEMORY_MARGIN} × the peak, and 64 MiB for bodies, as {plan.request.target.name} offers it",
                ),
                ("CPUs, threads", f"{deployment.cpus}, {deployment.threads}{instance}", "as measured"),
                *_replicas(plan),
                ("requests at once", f"{deployment.concurrency or 'no limit'}", _why_concurrency(plan)),
            ],
        ),
    ]


def _replicas(plan: Plan) -> list[tuple[str, str, str]]:
    """Lambda makes its own."""
    if plan.request.target.service == "AWS Lambda":
        return []
    return [("replicas", f"{plan.deployment.min_replicas} to {plan.deployment.max_replicas}", _why_replicas(plan))]


def _why_replicas(plan: Plan) -> str:
    if plan.request.rate is None:
        return f"one may go; a replica holds {_held(plan)}"
    return f"{plan.request.rate:,.6g} requests/s and one more; a replica holds {_held(plan)}"


def _held(plan: Plan) -> str:
    if plan.held is None:
        return f"{plan.replica_rate:,.3g} requests/s (measured, saturated: texts are generated)"
    return f"{plan.held.rate:,.4g} requests/s at a p99 of {_ms(plan.held.p99)} (simulated)"


def _why_concurrency(plan: Plan) -> str:
    if plan.request.target.service == "AWS Lambda":
        busy = "an environment has one request at a time: the load's, and four standard deviations more"
        return busy if plan.request.rate else "no load was given"
    return "the rate that a replica holds × its p99"


def _costs(plan: Plan) -> list[str]:
    currency = plan.prices.currency
    return [
        f"## Cost of a million requests, {currency}",
        "",
        "List prices of the price file. Networks, gateways, load balancers, logs, cold starts and discounts are left "
        "out; replicas that idle cost as much as busy ones.",
        "",
        *table(
            ("service", f"a replica at {plan.replica_rate:,.4g}/s", _load_heading(plan), "prices"),
            [_cost_row(plan, service.name) for service in plan.services],
        ),
        "",
        _break_even(plan),
    ]


def _load_heading(plan: Plan) -> str:
    if plan.request.rate is None:
        return "at a load"
    return f"{plan.replicas} replicas at {plan.request.rate:,.6g}/s"


def _cost_row(plan: Plan, name: str) -> tuple[str, ...]:
    service = next(each for each in plan.services if each.name == name)
    own = service is plan.service
    at_load = plan.cost_at_load(service)
    return (
        f"**{name}**" if own else name,
        f"{service.cost(plan.replica_rate):,.2f}",
        "–" if at_load is None else f"{at_load:,.2f}",
        service.dated.describe(),
    )


def _yours(plan: Plan) -> list[str]:
    names = ", ".join(f"`{name}`" for name in plan.request.target.yours)
    return ["## Yours to give", "", f"{names}, such as in `yours.auto.tfvars`."] if names else []


def _break_even(plan: Plan) -> str:
    if plan.break_even is None:
        return "This size does not fit AWS Lambda."
    container, rate = plan.break_even
    if rate is None:
        return f"AWS Lambda costs less than {container.name} at every rate."
    return (
        f"Below {rate:,.3g} requests/s, kept up all day, AWS Lambda costs less than {container.name} with one replica "
        "more than the load needs; above, it costs more."
    )


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(map(_cell, row))} |" for row in (heading, ["---"] * len(heading), *rows)]


def _cell(text: str) -> str:
    """A bundle's name may be any text."""
    return " ".join(text.split()).replace("|", "\\|")


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.3g} ms"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
