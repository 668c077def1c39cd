"""`lead evaluate devices=N`, or under torchrun: processes that share one evaluation's work."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta

from lead.core.errors import RequestError, WorkError
from lead.core.workers import COMMAND

LONGEST_WAIT = timedelta(days=7)  # of a process for another's share
POLL_SECONDS = 0.2


def is_one_of_several() -> bool:
    """Whether torchrun, or `start_processes`, started this process beside others."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


def speaks_for_all() -> bool:
    """Whether this process is the first of several, or the only one: it alone writes."""
    return not is_one_of_several() or os.environ.get("RANK", "0") == "0"


def start_processes(words: Sequence[str], count: int) -> int:
    """Run `lead evaluate` in ``count`` processes; returns the exit code of the first that ended.

    The first process speaks for all. Where another one fails alone, its last line is the error.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)},
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)),
    }
    command = [*COMMAND, "evaluate", *words]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as others:
        processes = [
            subprocess.Popen(
                command,
                env={**shared, **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=others if rank else None,
                stderr=others if rank else None,
            )
            for rank in range(count)
        ]
        try:
            return _wait(processes, others)
        finally:
            for process in processes:
                process.terminate()
                process.wait()


def _wait(processes: list[subprocess.Popen], others) -> int:
    while True:
        codes = [process.poll() for process in processes]
        if codes[0] is not None:
            return codes[0]
        if any(codes):
            time.sleep(5 * POLL_SECONDS)  # the first may be about to say the same
            if processes[0].poll() is None:
                others.seek(0)
                said = [line for line in others.read().splitlines() if line.strip()] or ["nothing"]
                raise WorkError(f"one of the processes failed, it said: {said[-1]}")
        time.sleep(POLL_SECONDS)


def join_processes():
    """Meet the other processes, if there are any; each has a GPU of its own where there are GPUs.

    Returns who does what. Raises RequestError where the others cannot be reached.
    """
    from lead.evaluation.sharing import Sharing

    if not is_one_of_several():
        return Sharing()
    import torch
    from torch import distributed

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    if not distributed.is_initialized():
        try:
            distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
        except (ValueError, RuntimeError) as error:
            raise RequestError(
                f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but the other processes cannot be "
                f"reached ({' '.join(str(error).split())[:100]}): start all with torchrun"
            ) from error
    return Sharing(distributed.get_rank(), distributed.get_world_size())
