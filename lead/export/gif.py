"""The GIF container: one palette, and in each picture only what has changed.

Pillow does the LZW compression; the container is written here because Pillow's own merges equal
neighbours into one frame and rearranges the palette. Block layout: the GIF89a specification.
"""

import struct
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import UInt8
from PIL import Image

BITS = 5  # of a palette index: fewer colours, smaller files
COLOURS = 2**BITS - 1
UNCHANGED = COLOURS  # the palette index that lets the picture before show through
_LOOP_FOREVER = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"

Indices = UInt8[np.ndarray, "height width"]


def gif_blocks(
    pictures: Iterable[Indices], hundredths: Iterable[int], palette: bytes
) -> Iterator[bytes]:
    """The bytes of a looping GIF, piece by piece.

    ``pictures`` are palette indices, all of one size; ``hundredths`` how long each is shown, in
    1/100 s; ``palette`` at most COLOURS RGB triples. Every picture becomes a frame.
    """
    before = None
    for picture, delay in zip(pictures, hundredths, strict=True):
        if before is None:
            height, width = picture.shape
            yield b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0 | (BITS - 1), 0, 0)
            yield palette.ljust(3 * 2**BITS, b"\0") + _LOOP_FOREVER
            left, top, part = 0, 0, picture
        else:
            left, top, part = _changes(before, picture)
        before = picture
        # disposal 1: leave in place; flag 1: one index is transparent
        yield b"!\xf9\x04" + struct.pack("<BHBB", (1 << 2) | 1, delay, UNCHANGED, 0)
        yield b"," + struct.pack("<HHHHB", left, top, part.shape[1], part.shape[0], 0)
        yield _compress(part)
    yield b";"


def _changes(before: Indices, after: Indices) -> tuple[int, int, UInt8[np.ndarray, "rows columns"]]:
    """Left, top and content of the smallest box that holds all changes; the rest is see-through."""
    changed = before != after
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not len(rows):
        return 0, 0, np.full((1, 1), UNCHANGED, dtype=np.uint8)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    part = np.where(changed[box], after[box], UNCHANGED).astype(np.uint8)
    return int(columns[0]), int(rows[0]), part


def _compress(part: Indices) -> bytes:
    """LZW data of one picture, with its code size before and the closing empty block after it."""
    rows_in_order = 0
    data = Image.fromarray(part).tobytes("gif", "L", BITS, rows_in_order)
    return bytes([BITS]) + data + b"\0"
