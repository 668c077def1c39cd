"""Which row of a table belongs to a timestep."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Timeline:
    """The distinct timesteps of a sampling run; tables are computed with one row for each."""

    def __init__(self, timesteps: Sequence[int], device: torch.device):
        self.values = torch.tensor(sorted(set(map(int, timesteps))), device=device)
        self._places = torch.zeros(int(max(timesteps)) + 1, dtype=torch.long, device=device)
        self._places[self.values] = torch.arange(len(self.values), device=device)

    def place(self, timestep: Tensor) -> Tensor:
        """Row (1,) of the timestep that all rows of a batch have; asks the device for nothing."""
        return self._places[timestep[:1]]
