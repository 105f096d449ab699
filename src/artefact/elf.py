"""Cuts the debugging symbols off a compiled module: most of what some wheels weigh, and never loaded.

The loader reads segments, by the program headers; sections and symbols behind the last segment are for debuggers.
ELF-64: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html and ch5.pheader.html
"""

import struct
from pathlib import Path

MAGIC = b"\x7fELF\x02\x01"
"""64 bits, little-endian: both of Lambda's processors."""
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")


def strip(path: Path) -> int:
    """Cut everything behind the last segment; return the bytes saved. Leaves alone what is no such file."""
    content = path.read_bytes()
    if not content.startswith(MAGIC):
        return 0
    kept = stripped(content)
    path.write_bytes(kept)
    return len(content) - len(kept)


def stripped(content: bytes) -> bytes:
    """Return the file up to the end of its last segment, with a header that promises no sections."""
    header = list(HEADER.unpack_from(content))
    segments_at, segment_size, segments = header[5], header[9], header[10]
    ends = [
        offset + size
        for _, _, offset, _, _, size, _, _ in (
            SEGMENT.unpack_from(content, segments_at + index * segment_size) for index in range(segments)
        )
    ]
    header[6] = header[11] = header[12] = header[13] = 0
    return HEADER.pack(*header) + content[HEADER.size : max(ends)]
