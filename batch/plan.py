"""Which part answers which rows. A plan depends on the inputs, the bundle and the options only, so that a command that
is repeated goes on where the last one was stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from batch import forms
from batch.files import describe, name_of
from batch.forms.json_lines import find_kinds, merge
from batch.rows import ANSWERED, DEFAULT_COLUMNS, Span, find_inputs
from serving.errors import InputError
from serving.tasks.base import Task
from serving.tasks.generation import Generation
from serving.tasks.strict_model import StrictModel
from stores.targets import scrub

ROWS_PER_PART, GENERATIONS_PER_PART = 10_000, 200
"""Seconds to a minute of work, which is what a kill can lose."""
BYTES_PER_PART = 64 * 2**20


class Source(StrictModel):
    """A file of rows; ``marks`` tell its version."""

    name: str
    size: int
    marks: dict[str, str]
    form: str
    columns: list[str]
    separator: str
    inputs: list[str]


class Block(StrictModel):
    """The rows of one part."""

    number: int
    source: int
    start: int
    end: int
    first: int
    rows: int

    @property
    def span(self) -> Span:
        return Span(self.start, self.end, self.first, self.rows)


class Job(StrictModel):
    """What the answers depend on; two plans of one job are the same."""

    version: int = 1
    bundle: str
    sources: list[Source]
    form: str
    packed: bool
    columns: list[str]
    schema_text: str
    rows_per_part: int

    def differences(self, other: Job) -> Iterator[str]:
        """From what an earlier command was asked, in words."""
        if self.bundle != other.bundle:
            yield f"the bundle was sha256 {other.bundle[:12]}…, and is sha256 {self.bundle[:12]}… now"
        mine, theirs = ({each.name: each for each in job.sources} for job in (self, other))
        yield from (f"{scrub(name)} was changed" for name in mine if name in theirs and mine[name] != theirs[name])
        yield from (f"{scrub(name)} is among the inputs of one of them only" for name in sorted({*mine} ^ {*theirs}))
        if (self.form, self.packed, self.rows_per_part) != (other.form, other.packed, other.rows_per_part):
            yield "the form of the output, or --rows-per-part"


class Plan(StrictModel):
    """Every row of the sources is in one block."""

    job: Job
    blocks: list[Block]

    @property
    def rows(self) -> int:
        return sum(block.rows for block in self.blocks)


@dataclass(frozen=True)
class Options:
    """What a user asks besides inputs and output."""

    text_columns: Sequence[str] = ()
    form: str | None = None
    rows_per_part: int | None = None
    packed: bool = False
    stand_ins: dict[str, str] = field(default_factory=dict)
    """By input, the JSON lines that were made of it."""

    def path_of(self, name: str) -> str:
        return self.stand_ins.get(name, name)


def describe_sources(places: Sequence[str], options: Options) -> list[Source]:
    """Raises InputError for a file that is empty, or has no column of inputs."""
    return [_describe(place, options) for place in places]


def _describe(place: str, options: Options) -> Source:
    size, marks = describe(place)
    if not size:
        raise InputError(f'{scrub(place)} is empty; it needs a line such as {{"inputs": "a text"}}')
    path = options.path_of(place)
    form = "jsonl" if path != place else forms.form_of(place) or "jsonl"
    columns, separator = forms.load(form).find_columns(path)
    asked = options.text_columns
    inputs = find_inputs(columns, asked, name_of(scrub(place))) if columns else list(asked or DEFAULT_COLUMNS[0])
    return Source(name=place, size=size, marks=marks, form=form, columns=columns, separator=separator, inputs=inputs)


def make_job(sources: list[Source], bundle: str, task: Task, options: Options) -> Job:
    """Raises InputError where the output cannot have the inputs' columns."""
    form = options.form or sources[0].form
    rows = options.rows_per_part or (GENERATIONS_PER_PART if isinstance(task, Generation) else ROWS_PER_PART)
    columns = _columns(sources, options) if form != "jsonl" else {}
    schema = ""
    if form == "parquet":
        from batch.forms.parquet import output_schema

        schema = output_schema(_arrow_columns(sources) or columns, task.answer_schema())
    return Job(
        bundle=bundle, sources=sources, form=form, packed=options.packed and form != "parquet",
        columns=[name for name in columns if name not in ANSWERED], schema_text=schema, rows_per_part=rows,
    )  # fmt: skip


def _columns(sources: Sequence[Source], options: Options) -> dict[str, str]:
    """Of all sources, with their kinds; those of JSON lines are found by reading them."""
    found: dict[str, str] = {}
    for source in sources:
        kinds = dict.fromkeys(source.columns, "text") if source.columns else find_kinds(options.path_of(source.name))
        found.update({name: merge(found.get(name), kind) for name, kind in kinds.items()})
    return found


def _arrow_columns(sources: Sequence[Source]) -> Any:
    """The types that Parquet files have, which are to be the same; None where others are among the sources."""
    if any(source.form != "parquet" for source in sources):
        return None
    from batch.forms.parquet import schema_of

    first = schema_of(sources[0].name)
    for source in sources[1:]:
        if (other := schema_of(source.name)) != first:
            differing = sorted({each.name for each in {*first} ^ {*other}})
            raise InputError(
                f"{scrub(source.name)}: its columns {', '.join(differing)} are not those of {scrub(sources[0].name)};"
                " predict them by commands of their own, or write JSON lines"
            )
    return first


def make_plan(job: Job, options: Options) -> Plan:
    """Read what has to be read to cut the sources into blocks."""
    most = (job.rows_per_part, BYTES_PER_PART)
    blocks: list[Block] = []
    for place, source in enumerate(job.sources):
        for span in forms.load(source.form).scan(options.path_of(source.name), source.separator, most):
            blocks.append(
                Block(
                    number=len(blocks), source=place, start=span.start, end=span.end, first=span.first, rows=span.rows
                )
            )
    return Plan(job=job, blocks=blocks)
