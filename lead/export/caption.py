"""Text in pictures: one font everywhere, lines broken to fit."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageDraw, ImageFont

ELLIPSIS = "…"


@lru_cache
def get_font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it (accents, Greek, Cyrillic), else Pillow's own font."""
    spec = find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        file = Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)
    return ImageFont.load_default(size)


def wrap_text(text: str, font: ImageFont.FreeTypeFont, width: int, max_lines: int) -> list[str]:
    """Break ``text`` into at most ``max_lines`` lines no wider than ``width`` pixels.

    Breaks at spaces, inside a word only where the word alone is too wide. Text that does not fit
    ends in an ellipsis.
    """
    lines: list[str] = []
    rest = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    while rest and len(lines) < max_lines:
        line = _longest_fitting(rest, font, width)
        lines.append(line.rstrip())
        rest = rest[len(line) :].lstrip()
    if rest:
        lines[-1] = _shorten(lines[-1], font, width)
    return lines


def draw_lines(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    lines: list[str],
    font: ImageFont.FreeTypeFont,
    colour: tuple[int, int, int],
) -> None:
    """Draw lines of text downwards from their top left ``corner``."""
    for row, line in enumerate(lines):
        draw.text((corner[0], corner[1] + row * line_height(font)), line, fill=colour, font=font)


def line_height(font: ImageFont.FreeTypeFont) -> int:
    """Pixels from one line to the next."""
    return round(font.size * 1.3)


def _longest_fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    end = 0
    while (space := text.find(" ", end + 1)) >= 0 and font.getlength(text[:space]) <= width:
        end = space
    if end:
        return text[:end]
    end = 1
    while end < len(text) and font.getlength(text[: end + 1]) <= width:
        end += 1
    return text[:end]


def _shorten(line: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    while line and font.getlength(line + ELLIPSIS) > width:
        line = line[:-1].rstrip()
    return line + ELLIPSIS
