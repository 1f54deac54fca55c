"""Bytes of a data file as text: unpacked, and decoded as a byte order mark, UTF-8 or the recipe's encoding say."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath

from serving.errors import InputError

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),  # begins as that of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_OTHERS = (
    (b"\xd0\xcf\x11\xe0", "a spreadsheet of Excel; save the sheet as CSV"),
    (b"PAR1", "Parquet; name it .parquet"),
    (b"ARROW1", "an Arrow file; name it .arrow"),
    (b"SQLite format 3\0", "a SQLite database; write a table of it to a CSV file with a header"),
    (b"version https://git-lfs", "no data but a pointer of Git LFS; get the file by git lfs pull"),
    (b"<!doctype html", "a web page; get the file by the address of its download"),
    (b"<html", "a web page; get the file by the address of its download"),
    (b"%PDF", "a PDF; give a file of rows"),
)
_MANY_HIGH_BYTES = 0.3
_SAMPLE = 2**16


def decompress(name: str, content: bytes) -> bytes:
    """Told by the first bytes, whatever the file is called; raises InputError."""
    unpack = next((unpack for magic, unpack in _PACKERS if content.startswith(magic)), None)
    if unpack is None:
        return content
    with _unpacking(name):
        unpacked = unpack(content)
    return decompress(name, unpacked)


def refuse_other_kinds(name: str, content: bytes) -> None:
    """Raise InputError for what is no text of rows."""
    beginning = content[:_LONGEST_MARK].lstrip().lower()
    for magic, kind in _OTHERS:
        if beginning.startswith(magic.lower()):
            raise InputError(f"{name}: is {kind}")


def name_inside(name: str, content: bytes) -> str:
    """What an archive calls its one file, "" for anything else; raises InputError."""
    if not content.startswith(_ZIP):
        return ""
    with _unpacking(name), zipfile.ZipFile(io.BytesIO(content)) as archive:
        return PurePath(_only_member(archive)).name


def decode(name: str, content: bytes, encoding: str | None) -> str:
    """Without a byte order mark; raises InputError, which names the line and an encoding that is likely."""
    for mark, codec, spelled in _MARKS:
        if content.startswith(mark):
            return _decode(name, content, codec, spelled)
    if encoding and not is_utf8(content):
        return _decode(name, content, encoding, encoding)
    if b"\0" in content:
        raise InputError(_nul_problem(name, content))
    return _decode(name, content, "utf-8", "UTF-8")


def suggest_encoding(content: bytes) -> str | None:
    """What a text that is no UTF-8 and has no byte order mark probably is; None for UTF-8, or no text at all."""
    if any(content.startswith(mark) for mark, _, _ in _MARKS):
        return None
    if b"\0" in content:
        return _utf16_of(content[:1000])
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return None if _is_mostly_utf8(content) else _likely(content)
    return None


def codec_of(beginning: bytes, encoding: str | None) -> str:
    """Of a file that begins so: what a byte order mark says, else the recipe's, else UTF-8."""
    marked = next((codec for mark, codec, _ in _MARKS if beginning.startswith(mark)), None)
    return marked or encoding or "utf-8"


def describe_encoding(content: bytes, encoding: str | None) -> str:
    """What was recognised and is no plain UTF-8, nor what the recipe says; empty otherwise."""
    spelled = next((spelled for mark, _, spelled in _MARKS[1:] if content.startswith(mark)), "")
    if spelled:
        return f"is read as {spelled}, as its byte order mark says"
    if encoding and codecs.lookup(encoding).name != "utf-8" and is_utf8(content):
        return f"is read as UTF-8, which it is, and not as data.encoding: {encoding} says"
    return ""


def is_utf8(content: bytes) -> bool:
    """With characters beyond ASCII: text in another encoding is that by no chance."""
    if content.isascii():
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decode(name: str, content: bytes, codec: str, spelled: str) -> str:
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        remedy = "save the file as UTF-8"
        if codec == "utf-8" and _is_mostly_utf8(content):
            remedy = "other lines are UTF-8, so correct this one"
        elif codec == "utf-8":
            remedy += f", or say what it is, perhaps data.encoding: {_likely(content)}"
        raise InputError(
            f"{name}, line {line}: not {spelled} (byte {error.start} of the file is 0x{content[error.start]:02x});"
            f" {remedy}"
        ) from None


def _is_mostly_utf8(content: bytes) -> bool:
    """Whether most of what is beyond ASCII is UTF-8; read in another encoding, that would be other characters."""
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - broken > broken


def _likely(content: bytes) -> str:
    sample = content[:_SAMPLE]
    if sum(byte >= 0x80 for byte in sample) < _MANY_HIGH_BYTES * len(sample):
        try:
            content.decode("cp1252")
        except UnicodeDecodeError:
            return "latin-1"
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    return best.encoding if best else "cp1252"


def _nul_problem(name: str, content: bytes) -> str:
    if codec := _utf16_of(content[:1000]):
        return f"{name}: looks like UTF-16 without a byte order mark; give data.encoding: {codec}"
    line = content.count(b"\n", 0, content.index(0)) + 1
    return f"{name}, line {line}: holds a NUL byte, so it is no text; get the file again"


def _utf16_of(sample: bytes) -> str | None:
    if 4 * sample.count(0) <= len(sample):
        return None
    return "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"


@contextmanager
def _unpacking(name: str) -> Iterator[None]:
    try:
        yield
    except _Unread as error:
        raise InputError(f"{name}: {error}") from error
    except _BROKEN as error:
        raise InputError(f"{name}: cannot be unpacked ({error}); get the file again") from error


class _Unread(Exception):
    """An archive that is in order, and is no data file."""


def _only_member(archive: zipfile.ZipFile) -> str:
    """Raises _Unread."""
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith(("__MACOSX/", "."))]
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise _Unread("is a spreadsheet or a document; save the sheet as CSV")
    if len(names) != 1:
        listed = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise _Unread(f"is an archive of {len(names)} files ({listed}); unpack it, and name those to read")
    return names[0]


def _unpack_zip(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(_only_member(archive))


def _unpack_zstd(content: bytes) -> bytes:
    import pyarrow

    with pyarrow.CompressedInputStream(pyarrow.BufferReader(content), "zstd") as stream:
        unpacked: bytes = stream.read()
    return unpacked


_ZIP = b"PK\x03\x04"
_BROKEN = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What unpacking raises; RuntimeError for a password."""
_LONGEST_MARK = 64
_PACKERS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ\0", lzma.decompress),
    (b"\x28\xb5\x2f\xfd", _unpack_zstd),
    (_ZIP, _unpack_zip),
)
