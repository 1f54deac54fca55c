"""What a folder or hub model is: a model of transformers, of sentence-transformers, of SetFit, or an adapter."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NoReturn

from transformers import PretrainedConfig

from serving.errors import InputError, quote
from trainer.imports.adapter import ADAPTER, adapter_hash, base_of_adapter, head_of_adapter
from trainer.model.architecture import LIBRARY
from trainer.model.base_model import BaseCheckpoint, find_base_model, locate
from trainer.model.heads import Head
from trainer.model.model_folder import CONFIG, TOKENIZER_CONFIG, read_json
from trainer.model.sentence_modules import MODULES
from trainer.recipe.recipe import TaskName

Kind = Literal["transformers", "CrossEncoder", "sentence-transformers", "SetFit", "PEFT adapter"]

SETFIT, SETFIT_PICKLE, SETFIT_HEAD = "config_setfit.json", "model_head.pkl", "model_head.safetensors"
TASKS: dict[Head, tuple[TaskName, ...]] = {
    "sequence": ("text-classification", "multi-label-classification", "regression"),
    "token": ("token-classification",),
    "span": ("question-answering",),
    "vector": ("feature-extraction",),
    "causal": ("text-generation",),
    "seq2seq": ("text2text-generation",),
}
CROSS_ENCODER = ("sentence_transformers", "sbert_ce_default_activation_function")
"""Keys that sentence-transformers adds to a cross-encoder's config.json."""


@dataclass(frozen=True)
class Source:
    """A checked model.

    Attributes:
        base: the model, or an adapter's.
        folder: the adapter's, or the model's.
        about: facts for the reader, by name.
        assumed: what no file says.
    """

    kind: Kind
    base: BaseCheckpoint
    folder: Path
    head: Head
    about: dict[str, str] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)

    @property
    def function_to_apply(self) -> str:
        """To a single logit: as transformers' pipeline, and of a cross-encoder as sentence-transformers; may raise."""
        if self.kind == "CrossEncoder":
            return _cross_encoder_function(read_json(self.folder / CONFIG), self.base.id)
        return "none" if self.config.problem_type == "regression" else "sigmoid"

    @property
    def tokenizer_folder(self) -> Path:
        """An adapter may have a tokenizer of its own, with tokens that its training added."""
        return self.folder if (self.folder / TOKENIZER_CONFIG).is_file() else self.base.folder

    @property
    def config(self) -> PretrainedConfig:
        return self.base.config


def _cross_encoder_function(config: dict[str, Any], model: str) -> str:
    """The name is looked up, and nothing imported."""
    section = config.get("sentence_transformers")
    named = section.get("activation_fn") if isinstance(section, dict) else None
    named = named or config.get("sbert_ce_default_activation_function") or "torch.nn.modules.activation.Sigmoid"
    functions = {"Sigmoid": "sigmoid", "Identity": "none"}
    if not isinstance(named, str) or named.rpartition(".")[2] not in functions:
        raise InputError(f"{model}: activation_fn {quote(named)}; {' and '.join(functions)} are known", field="model")
    return functions[named.rpartition(".")[2]]


def open_source(model: str, revision: str | None, task: TaskName | None) -> Source:
    """``task`` is what is asked, if anything; raises InputError or HubUnreachable."""
    folder, _ = locate(model, revision)
    if (folder / ADAPTER).exists():
        return _open_adapter(folder, model)
    base = find_base_model(model, revision=revision)
    if (folder / SETFIT).exists() or (folder / SETFIT_PICKLE).exists() or (folder / SETFIT_HEAD).exists():
        return Source("SetFit", base, folder, "sequence")
    if (folder / MODULES).exists():
        return _open_sentence_transformers(base, folder)
    raw = read_json(folder / CONFIG)
    if task == "feature-extraction":
        assumed = ["mean pooling, as sentence-transformers takes it for a folder without modules.json"]
        return Source("transformers", replace(base, pooling="mean"), folder, "vector", assumed=assumed)
    head = named_head(base.config) or _no_head(base)
    cross_encoder = head == "sequence" and any(key in raw for key in CROSS_ENCODER)
    return Source("CrossEncoder" if cross_encoder else "transformers", base, folder, head)


def named_head(config: PretrainedConfig) -> Head | None:
    """Of the first class that config.json names."""
    named = next(iter(config.architectures or []), None)
    for head, auto in LIBRARY.items():
        kinds = auto._model_mapping.get(type(config), ())
        if any(kind.__name__ == named for kind in (kinds if isinstance(kinds, tuple) else (kinds,))):
            found: Any = head
            return found  # type: ignore[no-any-return]
    return None


def choose_task(source: Source, count: int, task: TaskName | None) -> TaskName:
    """By what transformers' pipeline does with the model; ``count`` are its logits. Raises InputError."""
    accepted = TASKS[source.head]
    if source.head == "sequence":
        accepted = ("regression", "multi-label-classification") if count == 1 else accepted[:2]
        problem = source.config.problem_type
        if problem == "multi_label_classification":
            accepted = accepted[::-1] if accepted[-1] == "multi-label-classification" else accepted
        if problem == "regression" and count > 1:
            raise InputError(
                f"{source.base.id}: gives {count} numbers a text (problem_type regression), and a regression here has"
                " one; fine-tune a model for each",
                field="model",
            )
    if task is not None and task not in accepted:
        raise InputError(
            f"--task {task}: {source.base.id} is a model for {' or '.join(accepted)}; leave --task out", field="task"
        )
    return task or accepted[0]


def _open_adapter(folder: Path, name: str) -> Source:
    model = base_of_adapter(folder, name)
    base = find_base_model(model)
    head = head_of_adapter(folder) or named_head(base.config) or _no_head(base)
    about = {"adapter of": model}
    return Source("PEFT adapter", replace(base, id=name, sha256=adapter_hash(folder, base.sha256)), folder, head, about)


def _open_sentence_transformers(base: BaseCheckpoint, folder: Path) -> Source:
    if unsupported := base.modules.unsupported:
        raise InputError(
            f"{base.id}: its sentence-transformers files ask for {', '.join(unsupported)}, which Tuneship does not do",
            field="model",
        )
    prompts = read_json(folder / "config_sentence_transformers.json")
    if prompt := prompts.get("default_prompt_name"):
        raise InputError(
            f"{base.id}: config_sentence_transformers.json puts the prompt {quote(prompt)} before every text, which"
            " Tuneship does not do; set default_prompt_name to null there, and send texts with their prompt",
            field="model",
        )
    source = Source("sentence-transformers", base, folder, "vector")
    if prompts.get("prompts"):
        source.assumed.append("texts are sent with their prompt, if they have one: none is put before them")
    return source


def _no_head(base: BaseCheckpoint) -> NoReturn:
    named = ", ".join(base.config.architectures or ["no class"])
    raise InputError(
        f"{base.id}: its config.json names {named}, which has no head for a task; give a fine-tuned checkpoint,"
        " --task feature-extraction for its vectors, or fine-tune it by tuneship train",
        field="model",
    )
