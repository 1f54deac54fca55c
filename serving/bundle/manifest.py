"""``manifest.json``: what a bundle is, with the sha256 of every file and of itself.

It names entries of fixed registries, never import paths.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from serving.bundle.cpu import Arithmetic, Machine
from serving.errors import BundleError, first_problem

SCHEMA_VERSION = 4
MANIFEST = "manifest.json"
CARD = "README.md"
REFERENCE = "reference.json"
SIGNATURE = "model.sig"
"""Not in the manifest: the signature covers the manifest."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


GraphInput = Literal["input_ids", "attention_mask", "token_type_ids"]
"""Inputs that the predictor can provide."""


Provider = Literal["cpu", "cuda"]
"""onnxruntime's execution provider: a graph serves on the one that it was proven on."""

Device = Literal["auto", "cpu", "cuda"]
DEVICES: tuple[Device, ...] = get_args(Device)
"""What an operator may ask for."""

LARGEST = 2**31 - 1
"""A number that every library takes."""

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]{1,200}$")]
"""One that every file system takes."""


def _check_date(text: str) -> str:
    try:
        in_utc = datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        in_utc = False
    if not in_utc:
        raise ValueError("a date and time in UTC is accepted, such as 2026-01-31T12:00:00+00:00")
    return text


class FileEntry(_Model):
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, le=2**63 - 1, description="bytes")


class TokenizerSpec(_Model):
    """What decides token ids and is not in ``tokenizer.json``."""

    file: FileName
    max_length: int = Field(ge=2, le=LARGEST, description="tokens a text is truncated to, special tokens included")
    pad_token_id: int = Field(ge=0, le=LARGEST)
    pad_token_type_id: int = Field(ge=0, le=LARGEST)
    padding_side: Literal["right", "left"]


class GraphSpec(_Model):
    """The ONNX graph and how it may be batched."""

    file: FileName = Field(description="the graph, or the encoder's")
    decoder: FileName | None = Field(default=None, description="the second graph of an encoder-decoder model")
    data: list[FileName] = Field(
        default=[], description="the files of the tensors, where they are too large for the ONNX files"
    )
    variant: str = Field(description="how the weights are written, such as fp32")
    opset: int = Field(ge=1, le=LARGEST)
    inputs: list[GraphInput] = Field(description="in the graph's order")
    output: str = Field(description="the one with the logits")
    row_independent: bool = Field(
        description="false: a row's answer depends on the rows beside it, so that each row is run alone"
    )
    depends_on: list[Arithmetic] = Field(
        default=[], description="of the CPU it was proven on; where a machine differs in it, the variant does not serve"
    )

    provider: Provider = Field(
        default="cpu",
        exclude_if=lambda provider: provider == "cpu",
        description="where it was proven and serves: cuda is an NVIDIA GPU; absent: cpu",
    )

    @property
    def files(self) -> list[str]:
        """The ONNX files."""
        return [self.file, *([self.decoder] if self.decoder else [])]


class GoldenSpec(_Model):
    """Recorded answers that a machine must reproduce before it serves."""

    file: FileName
    rows: int = Field(ge=1, le=LARGEST)
    tolerance: float = Field(gt=0, description="largest accepted absolute difference of a logit")


class GoldenRow(_Model):
    inputs: Any
    input_ids: list[list[int]] = Field(min_length=1, description="of each window")
    logits: list[list[Any]] = Field(description="of each window: [labels], or [tokens, labels]")
    outputs: Any


class Limits(_Model):
    """What one request may hold; more is an error."""

    max_inputs: int = Field(default=128, ge=1, le=LARGEST, description="inputs a request")
    max_characters: int = Field(default=100_000, ge=1, le=LARGEST, description="Unicode code points a text")
    max_body_bytes: int = Field(default=4 * 2**20, ge=1, le=LARGEST, description="bytes a request body")


class Reliability(_Model):
    """How far the served scores are probabilities, on the test rows."""

    calibration_error: float
    uncalibrated_error: float = Field(description="of the same answers' scores before calibration")
    bins: list[tuple[float, float, int]] = Field(description="mean score, share that is right, answers")


class Verdict(_Model):
    """The proof's summary; details in ``parity.json``."""

    passed: bool
    rows: int
    token_ids_equal: bool
    answers_equal: int | None = Field(description="null if the answers are numbers, and no decisions")
    max_abs_logit_difference: float
    metric: str = Field(description="what the two scores are")
    score: float | None = Field(description="of the answers as served, on the test set; null if it has no labels")
    reference_score: float | None = Field(description="of the trained checkpoint's")
    reliability: Reliability | None = Field(default=None, description="of tasks that answer probabilities")


class ServesFor(_Model):
    """The run that a student serves for, as the export measured both that chose it."""

    run: str = Field(description="the name of the student's teacher")
    lock_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of its lock.json")
    metric: str = Field(description="what the scores are")
    run_score: float = Field(description="of the run's checkpoint on the test rows")
    score: float = Field(description="of the student's answers as served, on the same rows")
    change: float = Field(description="from the first to the second")
    change_interval: tuple[float, float] = Field(
        description="each end is exceeded with a probability of `level` at most"
    )
    level: float = Field(description="of the one-sided test that the proof makes of the change")
    speed: float = Field(description="items a second of CPU time, relative to the run's own fp32 graph")
    speed_interval: tuple[float, float] = Field(description="of its rounds")


class Alternative(_Model):
    """A further variant with its own golden answers and proof."""

    graph: GraphSpec
    settings: dict[str, Any] = Field(description="as the manifest's: its scores are calibrated for themselves")
    golden: GoldenSpec
    verdict: Verdict


class Manifest(_Model):
    schema_version: Literal[4]
    name: str = Field(description="the run's")
    created: Annotated[str, AfterValidator(_check_date)] = Field(description="UTC, ISO 8601")
    task: str = Field(description="a name of `serving.tasks`")
    labels: list[str] = Field(description="in the order of the logits")
    settings: dict[str, Any] = Field(description="what else the task's answers depend on; see the task's Settings")
    tokenizer: TokenizerSpec
    graph: GraphSpec
    golden: GoldenSpec
    limits: Limits
    verdict: Verdict
    fallbacks: list[Alternative] = Field(
        default=[], description="in the order they are tried where a machine does not answer as the graph was proven to"
    )
    model: dict[str, Any] = Field(description="the base model and the checkpoint: names, revision, sha256")
    serves_for: ServesFor | None = Field(
        default=None,
        exclude_if=lambda run: run is None,
        description="where `--variant auto` chose a student of the exported run; absent: the run itself serves",
    )
    data: dict[str, Any] = Field(description="the files, the splits, the unlabelled rows of the proof: rows, sha256")
    training: dict[str, Any] = Field(description="recipe keys, seconds a stage, hardware, the checkpoint's figures")
    data_warnings: list[str] = Field(
        default=[], description="what training warned of: test texts that were seen in training, labels with few rows"
    )
    extensions: dict[str, dict[str, str]] = Field(
        default={},
        exclude_if=lambda extensions: not extensions,
        description="code of the user's own that trained, converted and proved, by kind and name: distribution,"
        " version, sha256 of its source; absent: none",
    )
    card: dict[str, Any] = Field(description="what the recipe says for the model card: license, language, data set")
    versions: dict[str, str] = Field(description="packages that trained, converted and proved")
    proven_on: Machine = Field(description="architecture, CPU and instruction sets of the machine that proved it")
    files: dict[FileName, FileEntry] = Field(description="every file but this one and the signature")
    digest: str = Field(default="", description="sha256 of this manifest in canonical form without this field")

    @property
    def time(self) -> datetime:
        """Of the export, in UTC."""
        return datetime.fromisoformat(self.created)

    def seal(self) -> Manifest:
        return self.model_copy(update={"digest": self._digest()})

    def to_bytes(self) -> bytes:
        """The canonical form: sorted keys, two spaces, UTF-8, a final newline."""
        return _canonical(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises BundleError for a manifest that is malformed, altered or not canonical, or tells of a failed proof."""
        manifest, unaltered = cls._parse(data)
        if not unaltered:
            raise BundleError(f"{MANIFEST} was altered: it does not match its digest. Export the bundle again.")
        manifest._require_proven()
        return manifest

    def _require_proven(self) -> None:
        verdicts = [(self.graph, self.verdict), *((each.graph, each.verdict) for each in self.fallbacks)]
        for graph, verdict in verdicts:
            if not verdict.passed:
                raise BundleError(f"{MANIFEST}: the proof of {graph.variant} failed. Export the bundle again.")

    @classmethod
    def _parse(cls, data: bytes) -> tuple[Self, bool]:
        """With whether the digest is its own. What JSON cannot hold fails when it is written again."""
        try:
            manifest = cls.model_validate(_require_schema(json.loads(data)))
            return manifest, manifest.to_bytes() == data and manifest.digest == manifest._digest()
        except ValidationError as error:
            raise BundleError(f"{MANIFEST}: {first_problem(error)}. Export the bundle again.") from error
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{MANIFEST} is not valid JSON ({error}). Export the bundle again.") from error

    def _digest(self) -> str:
        return hashlib.sha256(_canonical(self.model_dump(mode="json", exclude={"digest"}))).hexdigest()


def _require_schema(content: Any) -> Any:
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found != SCHEMA_VERSION:
        raise BundleError(
            f"{MANIFEST} has schema version {found!r}; this Tuneship reads {SCHEMA_VERSION}. "
            "Export the bundle again with the version that serves it."
        )
    return content


def _canonical(content: Any) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


class Reference(_Model):
    """Counts over the evaluation rows, the baseline of drift; no texts."""

    outcomes: dict[str, int] = Field(description="label: how often it was answered; the empty one: no label at all")
    length_bounds: list[int] = Field(description="largest number of tokens in each bin but the last, which has no end")
    lengths: list[int] = Field(description="inputs in each bin")
