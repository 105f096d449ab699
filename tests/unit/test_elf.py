"""Debugging symbols cut off compiled modules."""

import importlib.machinery
import importlib.util
import struct
import sysconfig
from pathlib import Path

from artefact.elf import HEADER, MAGIC, strip, stripped


def image(segments: list[tuple[int, int]], size: int) -> bytes:
    """Make a file with these segments (offset, size) and a section table at its end."""
    headers = b"".join(struct.pack("<IIQQQQQQ", 1, 5, at, 0, 0, length, length, 4096) for at, length in segments)
    identity = MAGIC + bytes(10)
    header = HEADER.pack(identity, 3, 62, 1, 0, HEADER.size, size - 64, 0, 64, 56, len(segments), 64, 1, 0)
    return (header + headers).ljust(size, b"x")


def test_what_no_segment_holds_is_cut() -> None:
    """The file ends with its last segment and promises no section."""
    kept = stripped(image([(0, 512), (1024, 100)], 9000))
    assert len(kept) == 1124
    assert HEADER.unpack_from(kept)[6] == 0
    assert HEADER.unpack_from(kept)[11:] == (0, 0, 0)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """A script, a 32-bit or big-endian module stays as it is."""
    for content in (b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(90), b"\x7fELF\x02\x02" + bytes(90), b""):
        (tmp_path / "file").write_bytes(content)
        assert strip(tmp_path / "file") == 0
        assert (tmp_path / "file").read_bytes() == content


def test_a_stripped_module_still_loads(tmp_path: Path) -> None:
    """The loader does without sections: a compiled module of SQLAlchemy's runs from its stripped file."""
    spec = importlib.util.find_spec("sqlalchemy.util._collections_cy")
    assert spec
    assert spec.origin
    copy = tmp_path / f"_collections_cy{sysconfig.get_config_var('EXT_SUFFIX')}"
    copy.write_bytes(Path(spec.origin).read_bytes())
    assert strip(copy) > 0
    loader = importlib.machinery.ExtensionFileLoader("sqlalchemy.util._collections_cy", str(copy))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader, origin=str(copy)))  # type: ignore[arg-type]  # a loader that is there has a spec
    loader.exec_module(module)
    assert list(module.OrderedSet([2, 1, 2])) == [2, 1]
