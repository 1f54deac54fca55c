"""What a command asks, checked and put together before the first row is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batch import files
from batch.answers import Tally
from batch.forms import FORMS, PACKED, form_of
from batch.plan import Options, describe_sources, make_job
from batch.predict import Engine, Output, check_places, predict_files
from serving.bundle.bundle import Bundle
from serving.bundle.signature import require_recent, require_signature
from serving.errors import InputError, did_you_mean
from serving.files import nearest_path
from serving.inference.predictor import Predictor
from serving.observability.progress import begin_step
from serving.settings.settings import available_cpus, required_date, required_key
from serving.tasks import task_of
from serving.tasks.base import Task
from stores.locate import locate
from stores.targets import scrub

ENGINES = ("process", "ray")


@dataclass(frozen=True)
class Request:
    """Options of `tuneship predict`, as they were given."""

    bundle: str
    input: str
    output: str
    engine: str = "process"
    text_columns: tuple[str, ...] = ()
    output_format: str | None = None
    workers: int | None = None
    threads: int | None = None
    rows_per_part: int | None = None
    trusted_key: Path | None = None


@dataclass(frozen=True)
class Opened:
    """A bundle, and what will answer with it."""

    digest: str
    task: Task
    engine: Engine


def run(request: Request, stand_ins: Mapping[str, str] | None = None, *, restart: bool) -> Tally:
    """Raises UserError; ``stand_ins`` are JSON lines in the place of inputs of other forms."""
    output = choose_output(request)
    options = choose_options(request, output, stand_ins or {})
    begin_step("opening the bundle…")
    return answer(request, output, options, _open(request, options), restart=restart)


def answer(request: Request, output: Output, options: Options, opened: Opened, *, restart: bool = False) -> Tally:
    """Raises UserError."""
    sources = files.find_files(request.input)
    if not sources:
        raise InputError(
            f"there is no file {scrub(request.input)}; --input takes JSON lines such as"
            ' {"inputs": "a text"}, CSV or Parquet: a file, a folder, a pattern or a URL'
            f"{nearest_path(Path(request.input)) if files.is_local(request.input) else ''}"
        )
    check_places(sources, output)
    job = make_job(describe_sources(sources, options), opened.digest, opened.task, options)
    return predict_files(output, job, options, opened.engine, restart=restart)


def choose_output(request: Request) -> Output:
    """A folder where its name says so, where one is there, and with Ray."""
    if request.engine not in ENGINES:
        known = f"{' and '.join(ENGINES)}{did_you_mean(request.engine, ENGINES)}"
        raise InputError(f"--engine {request.engine}: accepted are {known}", field="--engine")
    named = request.output.endswith("/")
    is_folder = named or (
        files.is_local(request.output) and Path(request.output).is_dir() and not form_of(request.output)
    )
    if request.engine == "ray" and not is_folder:
        if form_of(request.output):
            raise InputError(f"--engine ray writes parts; give a folder as --output instead of {scrub(request.output)}")
        is_folder = True
    return Output(request.output, is_folder)


def choose_options(request: Request, output: Output, stand_ins: Mapping[str, str]) -> Options:
    """Raises InputError for a form that does not exist."""
    return Options(
        text_columns=request.text_columns,
        form=_choose_form(request, output),
        rows_per_part=request.rows_per_part,
        packed=output.place.endswith(PACKED),
        stand_ins=dict(stand_ins),
    )


def _choose_form(request: Request, output: Output) -> str | None:
    """What is asked, or what the name of a file says; None: as the input."""
    asked = request.output_format
    if asked is not None and asked not in FORMS:
        raise InputError(f"--output-format {asked}: accepted are {', '.join(FORMS)}{did_you_mean(asked, FORMS)}")
    if output.is_folder:
        return request.output_format
    named = form_of(output.place)
    if named and request.output_format not in (None, named):
        raise InputError(f"{scrub(output.place)} is named for {named}, and --output-format is {request.output_format}")
    return request.output_format or named or "jsonl"


def _open(request: Request, options: Options) -> Opened:
    """The bundle's digest and task, and what will answer; raises BundleError for one that cannot be trusted."""
    key, date = request.trusted_key or required_key(), required_date()
    if request.engine == "process":
        from batch.engines.one_process import OneProcess

        threads = request.threads or available_cpus()
        predictor = Predictor.open(locate(request.bundle), threads=threads, trusted_key=key, created_after=date)
        return Opened(predictor.bundle.digest, predictor.task, OneProcess(predictor, options))
    from batch.engines.ray_data import RayData

    if options.stand_ins:
        raise InputError(f"{request.input}: --engine ray takes JSON lines, CSV and Parquet; convert it first")
    bundle = Bundle.open(folder := locate(request.bundle))
    if key:
        require_signature(bundle, key)
    if date:
        require_recent(bundle, date)
    place = request.bundle if folder != Path(request.bundle) else str(folder.resolve())
    engine = RayData(place, request.threads or 1, request.workers)
    return Opened(bundle.digest, task_of(bundle.manifest), engine)
