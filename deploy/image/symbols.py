"""Cuts off the end of an ELF library what only debuggers and linkers read.

The loader finds all that it needs by the program headers. Symbol tables, debug sections and the section headers lie
behind the last segment: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html.
"""

from __future__ import annotations

import struct
from pathlib import Path

MAGIC_64_BIT_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
HEADER, SEGMENT = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
WORTHWHILE = 64 * 1024
"""Bytes; below it, a library keeps its symbols."""


def drop_symbols(path: Path) -> int:
    """The bytes saved, which is 0 for what isn't a library of 64 bits."""
    content = path.read_bytes()
    if not content.startswith(MAGIC_64_BIT_LITTLE_ENDIAN):
        return 0
    end = end_of_segments(content)
    if len(content) - end < WORTHWHILE:
        return 0
    path.write_bytes(without_section_headers(content[:end]))
    return len(content) - end


def end_of_segments(content: bytes) -> int:
    _, _, _, _, _, offset, _, _, _, size, count, *_ = HEADER.unpack_from(content)
    segments = [SEGMENT.unpack_from(content, offset + size * index) for index in range(count)]
    return max(int(start + length) for _, _, start, _, _, length, _, _ in segments)


def without_section_headers(content: bytes) -> bytes:
    """With a header that says there are none."""
    fields = list(HEADER.unpack_from(content))
    fields[6] = fields[12] = fields[13] = 0  # where they start, how many, which one holds their names
    return HEADER.pack(*fields) + content[HEADER.size :]
