"""API keys: several at once, read from a file that may change, kept and compared as digests."""

from __future__ import annotations

import errno
import hmac
import logging
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from serving.errors import InputError
from serving.settings.api_keys import MOST_BYTES, SECONDS_BETWEEN_CHECKS, ApiKeys

OLD, NEW, OTHER = "old-key-0123456789", "new-key-0123456789", "other-key-012345678"


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        """Its time."""
        return self.now


def test_several() -> None:
    """Each of several keys is accepted, those of a file and those given, and nothing else."""
    keys = ApiKeys([OLD, NEW])
    assert keys.accept(OLD.encode())
    assert keys.accept(NEW.encode())
    for wrong in (b"", OLD[:-1].encode(), OLD.encode() + b"x", OTHER.encode(), "ключ".encode(), b"\xff\x00"):
        assert not keys.accept(wrong)


def test_file(tmp_path: Path) -> None:
    """A file holds a key a line; comments and blank lines are none."""
    path = tmp_path / "keys"
    path.write_text(f"# ours\n\n{OLD}\n  {NEW}  \n")
    keys = ApiKeys([OTHER], path)
    assert all(keys.accept(key.encode()) for key in (OLD, NEW, OTHER))
    assert not keys.accept(b"# ours")


def test_file_with_a_mark(tmp_path: Path) -> None:
    """A file that an editor has put a byte order mark into is read as any other."""
    file = tmp_path / "keys"
    file.write_text(f"{OLD}\n", encoding="utf-8-sig")
    assert ApiKeys(file=file).accept(OLD.encode())


def test_compared_as_digests_of_equal_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key is compared, in constant time, whichever of them matches, and however long what is shown."""
    compared = []

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    real = hmac.compare_digest
    monkeypatch.setattr("serving.settings.api_keys.hmac.compare_digest", spy)
    for shown in (OLD, NEW, "x" * 5000, ""):
        compared.clear()
        ApiKeys([OLD, NEW, OTHER]).accept(shown.encode())
        assert compared == [(32, 32)] * 3


def test_kept_as_digests() -> None:
    """A key is nowhere in the object that accepts it."""
    assert OLD not in repr(vars(ApiKeys([OLD])))


def test_rotation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that changes is read again within seconds; the log says so and holds no key."""
    path, clock = tmp_path / "keys", Clock()
    path.write_text(OLD)
    keys = ApiKeys((), path, clock)
    path.write_text(f"{OLD}\n{NEW}\n")
    assert not keys.accept(NEW.encode())
    clock.now += SECONDS_BETWEEN_CHECKS
    with caplog.at_level(logging.INFO):
        assert keys.accept(NEW.encode())
    assert "the API keys were read again: 2 are accepted" in caplog.text
    assert NEW not in caplog.text
    path.write_text(NEW)
    clock.now += SECONDS_BETWEEN_CHECKS
    assert not keys.accept(OLD.encode())


@pytest.fixture
def rotating(tmp_path: Path) -> tuple[Path, Clock, ApiKeys]:
    """A file with the old key, and a clock that has the file read again at its next tick."""
    path, clock = tmp_path / "keys", Clock()
    path.write_text(OLD)
    return path, clock, ApiKeys([OTHER], path, clock)


Rotating = tuple[Path, Clock, ApiKeys]


@pytest.mark.parametrize("content", ["short\n", "white space is no key\n", f"{NEW}\nshort\n", "a" * (MOST_BYTES + 1)])
def test_malformed_rotation(rotating: Rotating, caplog: pytest.LogCaptureFixture, content: str) -> None:
    """A malformed file leaves the keys in force, never the door open; log and metric say so until it is mended."""
    path, clock, keys = rotating
    path.write_text(content)
    clock.now += SECONDS_BETWEEN_CHECKS
    assert keys.accept(OLD.encode())
    assert not keys.accept(b"short")
    assert "those of before are accepted until it can be read" in caplog.text
    assert "white space" not in caplog.text
    assert keys.file_is_bad
    path.write_text(NEW)
    clock.now += SECONDS_BETWEEN_CHECKS
    assert [keys.accept(key.encode()) for key in (OLD, NEW, OTHER)] == [False, True, True]
    assert not keys.file_is_bad


@pytest.mark.parametrize("content", ["", "# none\n", None])
def test_withdrawn(rotating: Rotating, caplog: pytest.LogCaptureFixture, content: str | None) -> None:
    """An emptied or removed file withdraws its keys, and never lets everybody in; keys from elsewhere stay."""
    path, clock, keys = rotating
    path.unlink() if content is None else path.write_text(content)
    clock.now += SECONDS_BETWEEN_CHECKS
    assert [keys.accept(key.encode()) for key in (OLD, NEW, OTHER, "")] == [False, False, True, False]
    assert "none of its keys is accepted" in caplog.text
    assert keys.file_is_bad
    path.write_text(OLD)
    clock.now += SECONDS_BETWEEN_CHECKS
    assert keys.accept(OLD.encode())


def test_rotation_without_descriptors(rotating: Rotating, caplog: pytest.LogCaptureFixture) -> None:
    """A rotation while no file can be opened is not lost: it is said once, and the file is read when it can be."""
    path, clock, keys = rotating
    path.write_text(NEW)
    with patch("serving.files.os.open", side_effect=OSError(errno.EMFILE, "Too many open files")):
        for _ in range(3):
            clock.now += SECONDS_BETWEEN_CHECKS
            assert keys.accept(OLD.encode())
    assert caplog.text.count("Too many open files; those of before are accepted") == 1
    clock.now += SECONDS_BETWEEN_CHECKS
    assert [keys.accept(key.encode()) for key in (OLD, NEW)] == [False, True]


def test_rotation_with_the_same_stamp(rotating: Rotating) -> None:
    """A file that is rewritten in place with its size and time kept is read again too."""
    path, clock, keys = rotating
    before = path.stat()
    path.write_text(NEW)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    clock.now += SECONDS_BETWEEN_CHECKS
    assert [keys.accept(key.encode()) for key in (OLD, NEW)] == [False, True]


def test_pipe(tmp_path: Path) -> None:
    """A pipe, which would be waited for, is refused."""
    os.mkfifo(tmp_path / "keys")
    with pytest.raises(InputError, match="keys cannot be read as a file of API keys: not a regular file"):
        ApiKeys((), tmp_path / "keys")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "keys holds no key"),
        (f"{OLD}\nsecret!\n", "keys, line 2 is no key: 16 to 512"),
        ("a" * 15, "keys, line 1 is no key"),
        (f"{OLD} {NEW}", "keys, line 1 is no key"),
    ],
)
def test_refused(tmp_path: Path, content: str, message: str) -> None:
    """A malformed file is named with its line, and not quoted."""
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        ApiKeys((), path)
    assert message in str(caught.value)
    assert "secret!" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(InputError, match="absent cannot be read as a file of API keys: No such file"):
        ApiKeys((), tmp_path / "absent")


def test_binary_file(tmp_path: Path) -> None:
    """So is one that holds no text."""
    (tmp_path / "keys").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="keys cannot be read"):
        ApiKeys((), tmp_path / "keys")
