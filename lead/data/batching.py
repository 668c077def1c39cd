"""Which clips go into which training step: a function of seed and step, and of nothing else.

Because the plan does not depend on what ran before, a resumed training sees the same batches as one
that was never stopped.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from lead.core.errors import RequestError
from lead.core.seeding import derive_seed

BUCKET_BATCHES = 32  # batches that share a pool sorted by length


class BatchPlan:
    """An endless deterministic sequence of batches, each of clips of similar length.

    Every epoch is a new permutation, cut into pools of ``BUCKET_BATCHES`` batches; a pool is sorted
    by length and its batches shuffled. The last, smaller batch of an epoch is dropped.
    A clip of weight 2 comes twice an epoch, one of 0.5 in every other, at random.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        batch_size: int,
        seed: int,
        weights: Sequence[float] | np.ndarray | None = None,
    ):
        self.lengths = np.asarray(lengths)
        self.weights = np.ones(len(self.lengths)) if weights is None else np.asarray(weights)
        self.rows = int(self.weights.sum() + 1e-6)  # shown in an epoch
        if self.rows < 1:
            raise RequestError("the weights of all clips sum to less than one: give larger ones")
        self.batch_size = min(batch_size, self.rows)
        self.seed = seed
        self._epoch = -1
        self._batches: list[np.ndarray] = []

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass over the data."""
        return self.rows // self.batch_size

    def batch(self, step: int) -> list[int]:
        """Places of the clips of one training step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffle(epoch)
        return self._batches[place].tolist()

    def _shuffle(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng(derive_seed(self.seed, "batches", epoch))
        order = rng.permutation(self._shown(rng))[: self.steps_per_epoch * self.batch_size]
        pool = BUCKET_BATCHES * self.batch_size
        batches: list[np.ndarray] = []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches.extend(part.reshape(-1, self.batch_size))
        return [batches[place] for place in rng.permutation(len(batches))]

    def _shown(self, rng: np.random.Generator) -> np.ndarray:
        """Places of an epoch, each as often as its weight says; what is not whole is drawn."""
        if (self.weights == 1).all():
            return np.arange(self.rows)
        whole = np.floor(self.weights).astype(int)
        edges = np.floor(rng.random() + np.cumsum(self.weights - whole) + 1e-9)
        extra = np.diff(edges, prepend=0).astype(int)  # systematic sampling of what is not whole
        return rng.permutation(np.repeat(np.arange(len(whole)), whole + extra))[: self.rows]


class StepSampler:
    """Batch sampler over training steps ``start .. stop``: yields lists of (step, place).

    Where several processes train together each takes as many neighbouring clips of the batch;
    RequestError where they cannot be shared out evenly.
    """

    def __init__(self, plan: BatchPlan, start: int, stop: int, rank: int = 0, world: int = 1):
        if plan.batch_size % world:
            raise RequestError(
                f"batches of {plan.batch_size} clips cannot be shared evenly by {world} processes: "
                "choose a batch_size that is a multiple, of no more clips than there are"
            )
        self.plan, self.start, self.stop = plan, start, stop
        each = plan.batch_size // world
        self.own = slice(rank * each, (rank + 1) * each)

    def __len__(self) -> int:
        return self.stop

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.start, self.stop):
            places = self.plan.batch(step)[self.own]
            yield [(step, place) for place in places]
