"""What a bundle or a recipe needs, and whether it is here."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from onboarding.doctor.finding import Finding, error, ok, warning
from onboarding.doctor.packages import MODEL_MODULE, is_importable
from onboarding.doctor.surroundings import hub, hub_cache
from serving.bundle.cpu import cpu_mismatches, describe_machine
from serving.errors import InputError, UserError

if TYPE_CHECKING:
    from serving.bundle.bundle import Bundle
    from trainer.recipe.recipe import Recipe

MEGABYTE = 2**20
_TRACKERS = {"tensorboard": "tensorboard", "mlflow": "mlflow-skinny", "wandb": "wandb", "trackio": "trackio"}
_MANIFEST = "manifest.json"


def check_subject(path: Path) -> Iterator[Finding]:
    """Raises InputError for what is neither."""
    if path.is_dir() and (path / _MANIFEST).is_file():
        return _check_bundle(path)
    if path.is_file() and path.suffix.lower() in (".yaml", ".yml"):
        return _check_recipe(path)
    found = "a folder without manifest.json" if path.is_dir() else "no YAML file" if path.exists() else "not there"
    raise InputError(f"{path}: is {found}; give a bundle's folder or a recipe", field="SUBJECT")


def _check_bundle(path: Path) -> Iterator[Finding]:
    from serving.bundle.bundle import Bundle

    try:
        bundle = Bundle.open(path)
    except UserError as problem:
        yield error("bundle", str(problem), "export or pull it again")
        return
    manifest = bundle.manifest
    size = sum(file.size for file in manifest.files.values())
    yield ok("bundle", f"{manifest.name}, {manifest.task}, {size / MEGABYTE:.0f} MB; every file is as it was written")
    yield _variants(bundle)
    signed = (path / "model.sig").is_file()
    yield ok("signature", "there; tuneship verify --trusted-key checks it" if signed else "none")


def _variants(bundle: Bundle) -> Finding:
    """Which of them were proven on a CPU that computes as this one does."""
    machine = describe_machine()
    parts = [each.manifest for each in (bundle, *bundle.alternatives)]
    refused = {each.graph.variant: cpu_mismatches(each.graph.depends_on, each.proven_on, machine) for each in parts}
    serving = [name for name, mismatches in refused.items() if not mismatches]
    told = "; ".join(f"{name}: {reasons[0]}" for name, reasons in refused.items() if reasons)
    if not serving:
        return error("variants", told, "serve it on a machine of the proof's kind, or export it on this one")
    if told:
        return warning(
            "variants", f"{serving[0]} serves here. {told}", "export on this kind of machine for the faster one"
        )
    return ok("variants", f"{serving[0]} serves here{f', before {chr(44).join(serving[1:])}' if serving[1:] else ''}")


def _check_recipe(path: Path) -> Iterator[Finding]:
    if not is_importable("yaml"):
        yield error("recipe", "recipes need the training packages", "pip install 'tuneship[train]'")
        return
    from trainer.recipe.recipe import load_recipe

    try:
        recipe = load_recipe(path)
    except UserError as problem:
        yield error("recipe", str(problem), "correct it; docs/recipe.md has every key")
        return
    yield ok("recipe", f"{path}: {recipe.task}")
    yield _data(recipe)
    yield _base_model(recipe)
    yield from _packages(recipe)


def _data(recipe: Recipe) -> Finding:
    from stores.targets import is_target

    if recipe.data.dataset and not Path(recipe.data.dataset).is_absolute():
        return ok("data", f"the data set {recipe.data.dataset} of {hub()}")
    names = [recipe.data.dataset] if recipe.data.dataset else [*_files(recipe)]
    missing = [name for name in names if name and not is_target(name) and not Path(name).exists()]
    if missing:
        return error(
            "data", f"not there: {', '.join(missing)}", "correct the paths, which start at the recipe's folder"
        )
    size = sum(Path(name).stat().st_size for name in names if name and Path(name).is_file())
    return ok("data", f"{len(names)} files, {size / MEGABYTE:.1f} MB; tuneship check looks at the rows")


def _files(recipe: Recipe) -> Iterator[str]:
    data = recipe.data
    yield from data.train if isinstance(data.train, tuple) else [data.train or ""]
    if not data.split:
        choices = [*(choice for _, choice in data.test_sets()), data.validation]
        yield from (choice for choice in choices if isinstance(choice, str))


def _base_model(recipe: Recipe) -> Finding:
    """Whether it is on this machine."""
    from trainer.recipe.recipe import DEFAULT_MODEL

    model = recipe.model
    if Path(model).is_absolute():
        if (Path(model) / "config.json").is_file():
            return ok("base model", f"the folder {model}")
        return error(
            "base model", f"{model}: no folder with a config.json", "give a model's folder or a hub id as model"
        )
    if any((hub_cache() / f"models--{model.replace('/', '--')}" / "snapshots").glob("*/config.json")):
        return ok("base model", f"{model}, in the hub cache")
    if model == DEFAULT_MODEL and is_importable(MODEL_MODULE):
        return ok("base model", f"{model}, in its package")
    free = shutil.disk_usage(next(each for each in (hub_cache(), *hub_cache().parents) if each.exists())).free
    remedy = f"the first training fetches it ({free / 2**30:.0f} GB free); without a network, name a folder that has it"
    return warning("base model", f"{model} is not on this machine; it comes from {hub()}", remedy)


def _packages(recipe: Recipe) -> Iterator[Finding]:
    """What only some recipes need."""
    needed = {_TRACKERS[name]: f"training.report_to: {name}" for name in recipe.training.report_to}
    needed |= {"bitsandbytes": "training.lora.load_in_4bit"} if recipe.training.in_4bit else {}
    needed |= {"opacus": "privacy"} if recipe.privacy and recipe.privacy.adds_noise else {}
    for package, key in needed.items():
        try:
            yield ok(key, f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            yield error(key, f"needs {package}, which is not installed", f"pip install {package}")
