"""Extensions by name: of installed packages, else of the working directory's tuneship.toml, and of nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from serving.errors import InputError
from serving.extensions.registry import extension_names, find_extension
from tests.extending import install, work_in, write_local

DOUBLE = "def double(value):\n    return 2 * value\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    return work_in(monkeypatch, tmp_path)


def test_of_the_working_directory(folder: Path) -> None:
    """tuneship.toml gives a module's function a name; nothing is imported before it is asked for."""
    module = write_local(folder, DOUBLE, metrics="double")
    found = find_extension("metrics", "double")
    assert module not in sys.modules
    assert found.value(4) == 8
    assert extension_names("metrics") == ["double"]
    assert extension_names("losses") == []
    assert (found.distribution, found.version) == ("tuneship.toml", "")


def test_of_a_package(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point is found first, with distribution and version."""
    write_local(folder, DOUBLE, metrics="double")
    site = tmp_path / "site"
    install(monkeypatch, site, "of-a-package", ("metrics", "double", "in_site:triple"))
    (site / "in_site.py").write_text("def triple(value): return 3 * value\n")
    found = find_extension("metrics", "double")
    assert found.value(4) == 12
    assert found.to_record() == {"distribution": "of-a-package", "version": "1.0", "sha256": found.sha256}


def test_two_packages_of_one_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of them would be used nobody could say: both are named."""
    install(monkeypatch, tmp_path / "a", "first-package", ("metrics", "f2", "a:f2"))
    install(monkeypatch, tmp_path / "b", "second-package", ("metrics", "f2", "b:f2"))
    with pytest.raises(InputError, match=r"first-package 1\.0 and second-package 1\.0 both register it"):
        find_extension("metrics", "f2")


def test_names_of_tuneships_own(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No extension takes the place of what is built in, wherever it comes from."""
    write_local(folder, DOUBLE, metrics="accuracy")
    with pytest.raises(InputError, match="Tuneship has a accuracy of its own; give yours another name"):
        find_extension("metrics", "f2", ["accuracy"])
    install(monkeypatch, tmp_path / "site", "too-bold", ("losses", "focal", "a:focal"))
    with pytest.raises(InputError, match=r"too-bold 1\.0 .*give yours another name"):
        find_extension("losses", "focal", ["focal"])


def test_a_missing_name(folder: Path) -> None:
    """The message says where was looked, and the nearest name."""
    write_local(folder, DOUBLE, metrics="double")
    with pytest.raises(InputError, match=r"metrics\.duoble: no installed package .* did you mean double\?"):
        find_extension("metrics", "duoble", ["accuracy"])
    (folder / "tuneship.toml").unlink()
    with pytest.raises(InputError, match=r"tuneship\.toml is not there\. Known are: accuracy"):
        find_extension("metrics", "double", ["accuracy"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[extensions", "is not valid TOML"),
        ("[extension]", "unknown table; accepted is"),
        ("[extensions]\nmetric.f2 = 'a:b'", "unknown kind; did you mean metrics"),
        ("[extensions]\nmetrics = 'a:b'", "a table is needed"),
        ("[extensions]\nmetrics.f2 = 'a.b'", 'give "package.module:name"'),
        ("[extensions]\nmetrics.f2 = '../evil:run'", 'give "package.module:name"'),
        ("[extensions]\nmetrics.'f 2' = 'a:b'", "is no name"),
    ],
)
def test_a_wrong_file(folder: Path, content: str, problem: str) -> None:
    """Each mistake is told with its key."""
    (folder / "tuneship.toml").write_text(content)
    with pytest.raises(InputError, match=problem):
        find_extension("metrics", "f2")


@pytest.mark.parametrize("file", ["manifest.json", "run.json"])
def test_nothing_of_a_bundle_or_a_run_is_executed(folder: Path, file: str) -> None:
    """A command that is started inside a bundle, or a run, reads no tuneship.toml there: others may have written it."""
    module = write_local(folder, DOUBLE, preprocessors="double")
    (folder / file).write_text("{}")
    with pytest.raises(InputError, match="of which nothing is executed"):
        find_extension("preprocessors", "double")
    assert module not in sys.modules


def test_code_that_fails(folder: Path) -> None:
    """What an import raises is told with the extension's name, and no traceback."""
    write_local(folder, "raise RuntimeError('no licence')\n", metrics="f2")
    with pytest.raises(InputError, match=r"metrics\.f2 of .* cannot be imported: RuntimeError: no licence"):
        _ = find_extension("metrics", "f2").value
    write_local(folder, "", metrics="f2")
    with pytest.raises(InputError, match="cannot be imported: AttributeError"):
        _ = find_extension("metrics", "f2").value
    (folder / "tuneship.toml").write_text('[extensions]\nmetrics.f2 = "no_such_module:f2"\n')
    with pytest.raises(InputError, match="has no source that can be read: ModuleNotFoundError"):
        _ = find_extension("metrics", "f2").sha256


def test_the_hash_is_of_the_whole_package(folder: Path) -> None:
    """A change of any file of it changes the hash; caches, and where it lies, do not."""
    package = folder / "own_package"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__.py", "inner/__init__.py", "inner/code.py"):
        (package / name).write_text(DOUBLE)
    (folder / "tuneship.toml").write_text('[extensions]\nmetrics.double = "own_package.inner.code:double"\n')
    found = find_extension("metrics", "double")
    before = found.sha256
    assert found.value(1) == 2
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "code.pyc").write_bytes(b"x")
    assert hash_again(found) == before
    (package / "inner" / "words.txt").write_text("a list that the code reads")
    assert hash_again(found) != before


def hash_again(extension: object) -> str:
    """As a new process would."""
    from serving.extensions.source import hash_source

    return hash_source(extension.target.partition(":")[0])  # type: ignore[attr-defined]


def test_a_file_that_is_edited_is_read_again(folder: Path) -> None:
    """A notebook's user adds a line, and goes on."""
    module = write_local(folder, DOUBLE, metrics="double")
    assert extension_names("metrics") == ["double"]
    (folder / "tuneship.toml").write_text(f'[extensions]\nmetrics.twice = "{module}:double"\n')
    assert extension_names("metrics") == ["twice"]
