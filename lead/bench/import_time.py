"""How long the command line takes to answer."""

import subprocess
import sys

from lead.bench.machine import Machine
from lead.bench.record import Row
from lead.bench.setting import BenchOptions, Setting
from lead.bench.timing import alternate, median

HEAVY = "import torch, numpy, transformers, pytorch_lightning, hydra"
STATEMENTS = {
    "interpreter": ["-c", "pass"],
    "plain": ["-c", HEAVY],
    "lead --help": ["-m", "lead.cli.main", "--help"],
    "lead generate --help": ["-m", "lead.cli.main", "generate", "--help"],
    "import lead.representation": ["-c", "import lead.representation"],
}


def measure(setting: Setting, machine: Machine, options: BenchOptions) -> list[Row]:  # noqa: ARG001
    """The rows of `lead bench import-time`: the floor is an interpreter that does nothing."""
    works = {name: lambda words=words: _start(words) for name, words in STATEMENTS.items()}
    seconds = alternate(works, setting)
    floor, plain = median(seconds.pop("interpreter")), seconds.pop("plain")
    return [
        Row(
            *(name, 1, "starts", median(own), median(plain), floor, own, plain),
            remark="" if number else f"plain is `{HEAVY}`, as a script with all imports on top has",
        )
        for number, (name, own) in enumerate(seconds.items())
    ]


def _start(words: list[str]) -> None:
    subprocess.run([sys.executable, "-P", *words], check=True, stdout=subprocess.DEVNULL)
