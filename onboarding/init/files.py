"""Which files are the training, validation and test rows, by their names: ``train.csv`` beside ``test.csv``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from serving.errors import InputError
from trainer.data.readers import is_read, suffix_of

NAMES = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development", "trial"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
}
"""What people call the three sets."""

LABEL_FILES = ("labels.txt", "label_names.txt", "classes.txt", "label.txt", "class_names.txt", "categories.txt")


@dataclass(frozen=True)
class Files:
    """``train`` may be several, and ``dataset`` a folder in their place, whose splits the other names are."""

    train: tuple[str, ...]
    test: str | None = None
    validation: str | None = None
    label_names: Path | None = None
    dataset: Path | None = None
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.dataset.name if self.dataset else Path(self.train[0]).name


def set_of(name: str) -> str | None:
    """The set that a name tells: ``SICK_test_annotated.txt`` is a test set's."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
    found = {role for role, names in NAMES.items() if any(word in names for word in words)}
    return found.pop() if len(found) == 1 else None


def find_files(data: Path, test: str | None = None) -> Files:
    """Raises InputError where a folder does not tell which of its files are rows."""
    found = _in_folder(data) if data.is_dir() else _beside(data)
    if test is not None:
        found = replace(found, test=test, reasons={**found.reasons, "data.test": "--test names it"})
    return found


def _in_folder(folder: Path) -> Files:
    if (folder / "state.json").is_file():
        return Files(("train",), dataset=folder, reasons={"data.dataset": "datasets has saved it by save_to_disk"})
    if (folder / "dataset_dict.json").is_file():
        return _saved_sets(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and _is_data(path, folder))
    roles: dict[str, list[Path]] = {}
    for path in files:
        roles.setdefault(_role(path, folder) or "", []).append(path)
    if "train" in roles:
        return _with_sets(roles, f"{folder.name}/ has a file for each set")
    if len(files) == 1:
        return _beside(files[0])
    if files and set(roles) == {""} and len({_pattern(path) for path in files}) == 1:
        return Files(tuple(map(str, files)), label_names=_label_file(folder))
    listed = ", ".join(str(path.relative_to(folder)) for path in files[:10]) + (", …" if len(files) > 10 else "")
    raise InputError(
        f"{folder}: {f'which of these are training rows is not told: {listed}' if files else 'holds no file of rows'};"
        " name one file, or call them train.csv, dev.csv and test.csv"
    )


def _saved_sets(folder: Path) -> Files:
    names = json.loads((folder / "dataset_dict.json").read_text(encoding="utf-8")).get("splits", [])
    roles = {role: name for name in names if (role := set_of(name))}
    if "train" not in roles:
        raise InputError(f"{folder}: no split of training rows among {', '.join(names)}; name one by data.train")
    return Files(
        (roles["train"],),
        roles.get("test"),
        roles.get("validation"),
        dataset=folder,
        reasons={"data.dataset": f"datasets has saved it by save_to_disk, with the splits {', '.join(names)}"},
    )


def _beside(path: Path) -> Files:
    """A lone file, and its siblings where its name is a training file's."""
    alone = Files((str(path),), label_names=_label_file(path.parent))
    if set_of(path.name) != "train" or not path.is_file():
        return alone
    roles: dict[str, list[Path]] = {"train": [path]}
    for other in sorted(path.parent.iterdir()):
        role = set_of(other.name)
        if role in ("test", "validation") and other.is_file() and _pattern(other) == _pattern(path):
            roles.setdefault(role, []).append(other)
    return _with_sets(roles, f"lies beside {path.name}")


def _with_sets(roles: dict[str, list[Path]], reason: str) -> Files:
    """Of several files of a held-out set, the first."""
    held = {role: str(roles[role][0]) for role in ("test", "validation") if role in roles}
    folder = roles["train"][0].parent
    return Files(
        tuple(map(str, roles["train"])),
        held.get("test"),
        held.get("validation"),
        _label_file(folder) or _label_file(folder.parent),
        reasons={f"data.{role}": reason for role in held},
    )


def _role(path: Path, folder: Path) -> str | None:
    """By its name, or that of a folder it lies in."""
    names = [path.name, *(parent.name for parent in path.relative_to(folder).parents)]
    return next((role for name in names if (role := set_of(name))), None)


def _pattern(path: Path) -> tuple[str, ...]:
    """What the files of one data set share: beginning and ending."""
    words = re.split(r"[^a-z]+", path.name.lower().removesuffix(suffix_of(path.name)))
    every = {word for names in NAMES.values() for word in names}
    first = words[0] if words and words[0] not in every else ""
    return first, suffix_of(path.name)


def _is_data(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    named = path.name.lower() in (*LABEL_FILES, "readme.txt", "license.txt", "requirements.txt", "package.json")
    return not hidden and not named and is_read(path.name)


def _label_file(folder: Path) -> Path | None:
    return next((folder / name for name in LABEL_FILES if (folder / name).is_file()), None)
