"""Captions: broken to fit, nothing lost, nothing too wide."""

from hypothesis import given
from hypothesis import strategies as st

from lead.export.caption import ELLIPSIS, get_font, wrap_text
from lead.export.scene import draw_header

FONT = get_font(14)
SENTENCE = "a person walks forward slowly, turns around and sits down on a chair"


def test_breaks_at_spaces_and_keeps_every_word() -> None:
    lines = wrap_text(SENTENCE, FONT, 200, max_lines=9)
    assert len(lines) > 1
    assert " ".join(lines) == SENTENCE
    assert all(FONT.getlength(line) <= 200 for line in lines)


def test_lines_are_as_full_as_they_can_be() -> None:
    lines = wrap_text(SENTENCE, FONT, 200, max_lines=9)
    for line, following in zip(lines, lines[1:], strict=False):
        assert FONT.getlength(f"{line} {following.split()[0]}") > 200


def test_too_much_text_ends_in_an_ellipsis() -> None:
    lines = wrap_text(SENTENCE, FONT, 120, max_lines=2)
    assert len(lines) == 2
    assert lines[-1].endswith(ELLIPSIS)
    assert FONT.getlength(lines[-1]) <= 120
    assert SENTENCE.startswith(" ".join(lines).removesuffix(ELLIPSIS))


def test_one_long_word_is_cut() -> None:
    lines = wrap_text("x" * 60, FONT, 100, max_lines=20)
    assert "".join(lines) == "x" * 60
    assert all(FONT.getlength(line) <= 100 for line in lines)


@given(text=st.text(max_size=80), width=st.integers(40, 300), lines=st.integers(1, 4))
def test_any_text_fits(text: str, width: int, lines: int) -> None:
    wrapped = wrap_text(text, FONT, width, lines)
    assert len(wrapped) <= lines
    assert all(FONT.getlength(line) <= width for line in wrapped)
    assert all(line.isprintable() for line in wrapped)


def test_no_caption_takes_no_room() -> None:
    assert wrap_text("  \n ", FONT, 100, 3) == []
    assert draw_header("", (320, 320)).size == (320, 0)
    one, three = (draw_header(text, (320, 320)).height for text in ("a", SENTENCE * 4))
    assert 0 < one < three < 320 / 3


def test_accents_are_drawn() -> None:
    """A missing glyph would look like that of an unassigned code."""
    missing = FONT.getmask("\u0378")
    for letter in "éüñЖα":
        mask = FONT.getmask(letter)
        assert (mask.size, bytes(mask)) != (missing.size, bytes(missing))
