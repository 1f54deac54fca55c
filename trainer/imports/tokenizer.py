"""An imported model's tokenizer, as others use it."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from trainer.imports.imported_model import ImportedModel
from trainer.model.case_markers import with_lower_case
from trainer.model.checkpoint import load_tokenizer
from trainer.model.heads import backbone_of
from trainer.model.model_folder import read_json
from trainer.model.quiet import quiet_transformers
from trainer.model.refusal import refusing


def load_imported_tokenizer(model: ImportedModel) -> PreTrainedTokenizerFast:
    """Raises InputError for one that cannot be read."""
    folder, length = model.source.tokenizer_folder, model.recipe.data.max_length
    asked = model.loaded.original or backbone_of(model.loaded.model)
    tokenizer = load_tokenizer(folder, length, _pipeline_inputs(folder, asked))
    lower = read_json(folder / "sentence_bert_config.json").get("do_lower_case") is True
    return (
        with_lower_case(tokenizer) if lower and model.source.kind in ("sentence-transformers", "SetFit") else tokenizer
    )


def _pipeline_inputs(folder: Path, model: Any) -> list[str]:
    """What others give the model: token types where its tokenizer makes them, and nowhere else."""
    with refusing(str(folder), "its tokenizer cannot be read"), quiet_transformers():
        names = AutoTokenizer.from_pretrained(folder, local_files_only=True).model_input_names
    types = "token_type_ids" in names and "token_type_ids" in signature(model.forward).parameters
    return ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
