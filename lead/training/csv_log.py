"""The log that is always written: ``metrics.csv`` in the run directory, one row per value."""

import csv
import re
from pathlib import Path

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

from lead.core.files import atomic_path, disk_told

HEADER = ("step", "name", "value")
_ROW = re.compile(r"([0-9]{1,15}),([^,]*),([^,]*)")


class CsvLog(Logger):
    """Appends rows (step, name, value); a resumed run goes on after the step it resumes from.

    Rows of steps that are trained again are dropped first, so that no step stands there twice.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self._first = True

    @property
    def name(self) -> str:
        """Name of the logger, for Lightning."""
        return "csv"

    @property
    def version(self) -> str:
        """There is one log per run."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one row per value; Lightning's ``epoch`` is left out."""
        if self._first:
            self._keep_before(step or 0)
            self._first = False
        with disk_told(self.path, self.path), self.path.open("a", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerows((step, k, float(v)) for k, v in metrics.items() if k != "epoch")

    def log_hyperparams(self, *_: object, **__: object) -> None:
        """Configuration is kept in config.yaml."""

    def _keep_before(self, step: int) -> None:
        text = self.path.read_text(errors="replace") if self.path.is_file() else ""
        kept = [row for row in map(_ROW.fullmatch, text.splitlines()) if row and int(row[1]) < step]
        with atomic_path(self.path) as temporary, temporary.open("w", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerows([HEADER, *(row.groups() for row in kept)])
