"""Files are read and replaced whole, and only regular ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.files import TEMPORARY, explain, read_regular, replace_file


def test_replaced_at_the_end(tmp_path: Path) -> None:
    """The old content stays until the new one is whole, and after an error; no other file is left."""
    path = tmp_path / "x"
    path.write_text("old")
    with replace_file(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(UnicodeEncodeError), replace_file(path) as file:
        file.writelines(text.encode() for text in ("half", "\ud800"))
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_usual_permissions(tmp_path: Path) -> None:
    """As any new file's, by the umask."""
    before = os.umask(0o027)
    try:
        with replace_file(tmp_path / "x"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_planted_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link at the temporary file's own name is an error; a link at the path is replaced, and not followed."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "x").symlink_to(victim)
    with replace_file(tmp_path / "x") as file:
        file.write(b"new")
    assert not (tmp_path / "x").is_symlink()
    monkeypatch.setattr("serving.files.secrets.token_hex", lambda _: "0")
    (tmp_path / TEMPORARY.replace("*", "0")).symlink_to(victim)
    with pytest.raises(FileExistsError), replace_file(tmp_path / "x"):
        pass
    assert victim.read_text() == "mine"


def test_no_regular_file(tmp_path: Path) -> None:
    """A pipe is neither waited for nor replaced; a folder neither."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(path, 10)
        with pytest.raises(OSError, match="not a regular file"), replace_file(path):
            pass
    assert (tmp_path / "pipe").is_fifo()


def test_bounded(tmp_path: Path) -> None:
    """More than the bound is an error, however large the file."""
    (tmp_path / "x").write_bytes(b"12345")
    assert read_regular(tmp_path / "x", 5) == b"12345"
    os.truncate(tmp_path / "x", 1 << 40)
    with pytest.raises(OSError, match="more than 5 bytes"):
        read_regular(tmp_path / "x", 5)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/a"), "/a: permission denied; change its permissions"),
        (OSError(28, "No space left on device"), "a file: no space left on device; make room there"),
        (Exception("Error while serializing: I/O error: No space left on device (os error 28)"), "a file: no space"),
        (RuntimeError("a fault of the program"), None),
        (OSError("without a number"), None),
    ],
)
def test_explained(error: Exception, said: str | None) -> None:
    """What a file system refuses is told with what to do; what is a fault of the program is not."""
    assert (explain(error) or "").startswith(said) if said else explain(error) is None


def test_errors_name_the_target(tmp_path: Path) -> None:
    """And not the temporary file, which the user has not given."""
    for path in (tmp_path / "absent" / "x", tmp_path / "file" / "x"):
        (tmp_path / "file").touch()
        with pytest.raises(OSError) as caught, replace_file(path):  # noqa: PT011
            pass
        assert caught.value.filename == str(path)
    with pytest.raises(OSError) as caught, replace_file(tmp_path / "x") as file:  # noqa: PT011
        os.close(file.fileno())
    assert caught.value.filename == str(tmp_path / "x")
