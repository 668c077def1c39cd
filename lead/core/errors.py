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
