"""The two ways a command can fail. Both carry one line: what, where, what to do."""


class LeadError(Exception):
    """A failure with a message meant for the person at the keyboard."""

    exit_code = 1


class WorkError(LeadError):
    """The request was right, the work failed (exit code 1)."""

    exit_code = 1


class RequestError(LeadError):
    """The request was wrong: bad input, bad option, missing file (exit code 2)."""

    exit_code = 2


def did_you_mean(word: str, known) -> str:
    """``did you mean 'x'?`` for the closest known word, else the list of known words."""
    from difflib import get_close_matches

    known = sorted(str(name) for name in known)
    close = get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"


LINE_MOST = 300 - len("lead: ")  # characters of a message, which follow that
_WORD_MOST = 120


def one_line(message: object) -> str:
    """A message on one line of at most LINE_MOST characters.

    Names of files and words of libraries may hold line breaks, and be long; long words lose their
    middle first, so that what to do still stands at the end.
    """
    words = "".join(c if c.isprintable() else " " for c in str(message)).split()
    text = " ".join(words)
    if len(text) > LINE_MOST:
        text = " ".join(_shortened(word, _WORD_MOST) for word in words)
    return _shortened(text, LINE_MOST)


def plain(name: object) -> str:
    """A file's name as text that every file can hold: bytes that are no UTF-8 stand as escapes."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def _shortened(text: str, most: int) -> str:
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"
