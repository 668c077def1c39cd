"""Signals that end a process let it clear away what is half done."""

import os
import signal
import subprocess
import sys
import time

import pytest

from lead.core.stopping import ended_in_order

SCRIPT = """
import sys, time
from lead.core.files import atomic_folder
from lead.core.stopping import ended_in_order
with ended_in_order(), atomic_folder(sys.argv[1]) as folder:
    (folder / "half").write_text("done")
    try:
        time.sleep(60)
    except Exception:
        pass
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_half_done_is_cleared_away(tmp_path, number, times):
    """However often the signal comes, no ``except Exception`` stops it, and nothing is said."""
    words = [sys.executable, "-c", SCRIPT, str(tmp_path / "out")]
    process = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup has it ignored
    )
    while not list(tmp_path.glob(".out.*/half")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    for _ in range(times):
        os.kill(process.pid, number)
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (128 + number, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_who_handles_or_ignores_a_signal_goes_on_doing_so(handler):
    """As under nohup, or in a program that uses ours."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        with ended_in_order():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is handler
    finally:
        signal.signal(signal.SIGHUP, before)


def test_afterwards_all_is_as_before():
    found = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with ended_in_order():
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, found)
