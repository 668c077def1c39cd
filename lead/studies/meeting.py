"""Do MoTe's two spaces meet? Latents of motions and of their sentences, and states after blocks.

Each modality is given alone, clean, so that nothing of the pair leaks from one to the other. That a
sentence can be found by its motion then is what both spaces have in common: by a linear map (ridge
regression, learned on training clips) from one to the other, and the cosine between the two.
"""

import numpy as np
import torch

from lead.core.devices import choose_device
from lead.core.masks import lengths_to_mask, row_means
from lead.core.runs import Run
from lead.core.seeding import derive_seed
from lead.data.clips import padded_batches
from lead.data.packed import PackedDataset, PackedSplit
from lead.evaluation.estimate import estimate
from lead.evaluation.metrics import r_precision
from lead.generation.mote_model import MoteModel, load
from lead.generation.motion_model import padded
from lead.models.joint_denoiser import CLEAN, Side
from lead.studies.request import ClipsRequest

LEARNED = 1000  # training clips that the linear maps are learned on, at most
RIDGE = 0.1  # of the mean variance: what the map pays for large weights
REPLICATIONS, POOL = 20, 32

Spaces = dict[str, np.ndarray]
"""Name -> points (clips, dim), a mean over the tokens of each clip."""


def joint_spaces(
    named: Run, dataset: PackedDataset, places: list[int], request: ClipsRequest
) -> tuple[Spaces, list[str]]:
    """Points of motions and sentences before and after the blocks, and what is found by them.

    Of the split "train" more is found than is fair: the maps are learned on clips of it.
    """
    model = load(named).to(choose_device(request.device))
    rng = np.random.default_rng(derive_seed(request.seed, "meeting"))
    train, test = dataset.split("train"), dataset.split(request.split)
    learned = np.sort(rng.permutation(len(train))[:LEARNED]).tolist()
    known, spaces = (
        _points(model, split, rows, request.batch_size)
        for split, rows in ((train, learned), (test, places))
    )
    pools = min(POOL, len(places))
    lines = [f"{f'found, pools of {pools}':18}{'R@1':>16}{'R@3':>16}"]
    for what, after in (("latents", ""), ("after the blocks", "_after")):
        motion, text = f"motion{after}", f"sentence{after}"
        guess = ridge(known[motion], known[text])(spaces[motion])
        wanted = spaces[text] - known[text].mean(axis=0)
        found = []
        for _ in range(REPLICATIONS):
            order = rng.permutation(len(places))
            found.append(r_precision(*(_unit(of)[order] for of in (wanted, guess)), pools))
        cells = [estimate([hits[k] for hits in found]) for k in (0, 2)]
        shown = [f"{cell.mean:.3f} ± {cell.margin:.3f}".rjust(16) for cell in cells]
        lines.append(f"{what:18}" + "".join(shown))
    return spaces, [*lines, ""]


def ridge(x: np.ndarray, y: np.ndarray):
    """The linear map of centred rows x (rows, a) to centred y (rows, b), by ridge regression."""
    mean, centred = x.mean(axis=0), x - x.mean(axis=0)
    gram = centred.T @ centred
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = np.linalg.solve(gram, centred.T @ (y - y.mean(axis=0)))
    return lambda rows: (rows - mean) @ weights


def _unit(points: np.ndarray) -> np.ndarray:
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@torch.no_grad()
def _points(model: MoteModel, split: PackedSplit, places: list[int], batch_size: int) -> Spaces:
    """Of clips and their first captions, in the order of ``places``."""
    rows: dict[int, tuple] = {}
    clips = [split.clip(place)[: model.frame_limits[1]] for place in places]
    for at, batch in padded_batches(clips, batch_size, model.device):
        z, _ = model.posterior(batch.x, batch.mask)
        mask = lengths_to_mask(model.coder.token_count(batch.mask.sum(1)), z.shape[1])
        texts = [split.captions[places[row]][0] for row in at]
        words, word_mask = padded(model.read(texts, {}))
        y = model.sentences.encode(words, word_mask)
        clean = torch.full((len(z),), CLEAN, device=z.device)
        given = torch.ones_like(clean, dtype=torch.bool)
        last = model.schedule.num_train_timesteps - 1
        states = []
        for motion, text, own in (
            (Side(z, clean, given, mask), model.network.nothing(torch.zeros_like(y), last), 0),
            (model.network.nothing(torch.zeros_like(z), last, mask), Side(y, clean, given), 1),
        ):
            kept: list = []
            handle = model.network.blocks[-1].register_forward_hook(
                lambda _, __, out, kept=kept: kept.append(out)
            )
            model.network(motion, text)
            handle.remove()
            states.append(kept[0][own])
        of = (row_means(z, mask), y.flatten(1), row_means(states[0], mask), states[1].mean(1))
        rows.update(
            zip(at, zip(*(one.cpu().double().numpy() for one in of), strict=True), strict=True)
        )
    names = ("motion", "sentence", "motion_after", "sentence_after")
    columns = zip(*(rows[row] for row in range(len(places))), strict=True)
    return {name: np.stack(column) for name, column in zip(names, columns, strict=True)}
