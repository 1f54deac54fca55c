"""Bytes of a data file as text: unpacked, and decoded as a byte order mark, UTF-8 or the recipe's encoding say."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Callable

from serving.errors import InputError

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),  # begins as that of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet; unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet of Excel; save the sheet as CSV"),
    (b"PAR1", "Parquet; name it .parquet"),
)
_MANY_HIGH_BYTES = 0.3
_SAMPLE = 2**16


def decompress(name: str, content: bytes) -> bytes:
    """Told by the first bytes, whatever the file is called; raises InputError."""
    for magic, kind in _OTHERS:
        if content.startswith(magic):
            raise InputError(f"{name}: is {kind}")
    unpack = next((unpack for magic, unpack in _PACKERS if content.startswith(magic)), None)
    if unpack is None:
        return content
    try:
        return unpack(content)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{name}: cannot be unpacked ({error}); get the file again") from error


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
        if codec == "utf-8":
            remedy += f", or say what it is, perhaps data.encoding: {_likely(content)}"
        raise InputError(
            f"{name}, line {line}: not {spelled} (byte {error.start} of the file is 0x{content[error.start]:02x});"
            f" {remedy}"
        ) from None


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
    sample = content[:1000]
    if 4 * sample.count(0) > len(sample):
        codec = "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
        return f"{name}: looks like UTF-16 without a byte order mark; give data.encoding: {codec}"
    line = content.count(b"\n", 0, content.index(0)) + 1
    return f"{name}, line {line}: holds a NUL byte, so it is no text; get the file again"


def _unpack_zstd(content: bytes) -> bytes:
    import pyarrow

    with pyarrow.CompressedInputStream(pyarrow.BufferReader(content), "zstd") as stream:
        unpacked: bytes = stream.read()
    return unpacked


_PACKERS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ\0", lzma.decompress),
    (b"\x28\xb5\x2f\xfd", _unpack_zstd),
)
