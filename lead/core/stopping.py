"""A signal that ends a process ends it in order: what is half done goes again."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise SystemExit(128 + number), as Ctrl-C raises its exception.

    A signal that somebody handles or ignores already (``nohup``) is left alone.
    """
    mine = threading.current_thread() is threading.main_thread()
    taken = [n for n in _ENDING if mine and signal.getsignal(n) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _frame: object) -> None:
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)  # the way out is short, and is walked to its end
    raise SystemExit(128 + number)
