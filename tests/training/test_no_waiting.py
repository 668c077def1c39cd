"""What would make a GPU wait, or be waited for, in a step of training or sampling: without one.

On the device `meta` a tensor has no numbers, so whoever reads one fails; and whatever crosses
between it and the CPU would have to be sent.
"""

import contextlib
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lead.bench.our_training import cached_latents
from lead.cli.train_request import train_request
from lead.core.batches import LatentBatch, MotionBatch
from lead.core.errors import WorkError
from lead.core.freezing import freeze
from lead.generation.sampling import sample_latents
from lead.models.denoiser import MldDenoiser
from lead.models.inference.prepare import prepare
from lead.training import finite_loss
from lead.training.averaging import ExponentialAverage
from lead.training.finite_loss import FiniteLoss
from lead.training.optimization import GradientClipping
from lead.training.randomness import StepDraws
from lead.training.stages import train_stage

META = torch.device("meta")
STAGES = {
    "vae": (None, ["stage.module.held_weight=1", "stage.module.standing_weight=1"]),
    "diffusion": ("vae", []),
    "projector": ("diffusion", []),
    "distill": ("diffusion", []),
}


class Crossings(TorchDispatchMode):
    """Writes down every operation that has tensors here and there; numbers of their own may."""

    def __init__(self):
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor)]
        places = {tensor.device.type for tensor in tensors if tensor.ndim}
        if len(places) > 1:
            self.seen.append(str(operation))
        return out


class Draws(StepDraws):
    """StepDraws where no generator can be."""

    def __init__(self, *_):
        pass

    def normal(self, shape):
        return torch.empty(shape, device=META)

    uniform = normal

    def integers(self, _high, shape):
        return torch.empty(shape, dtype=torch.long, device=META)


@pytest.fixture
def on_meta(monkeypatch):
    """Tensors that are indexed by lists count as sent: torch makes those on the CPU."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    norm = torch.nn.utils.get_total_norm  # of many tensors at once it is for real devices
    monkeypatch.setattr(torch.nn.utils, "get_total_norm", lambda grads, **_: norm(grads))
    own = torch.Tensor.__getitem__

    def indexed(tensor, index):
        parts = index if isinstance(index, tuple) else (index,)
        listed = any(isinstance(part, list) for part in parts)
        assert not (listed and tensor.device == META), "a list of places would have to be sent"
        return own(tensor, index)

    monkeypatch.setattr(torch.Tensor, "__getitem__", indexed)


def stage_and_batch(stage, make_values, train_chain, tmp_path, monkeypatch):
    """The module of a stage as `lead train` makes it, and its first batch."""
    earlier, options = STAGES[stage]
    name = "teacher" if stage == "distill" else earlier
    words = [f"{name}={train_chain(stages=[earlier])[earlier]}"] if earlier else []
    made = []

    def keep(module, data, run, *_, **__):
        made.extend((module, data))
        return run

    monkeypatch.setattr("lead.training.stages.fit", keep)
    train_stage(train_request(make_values(stage, tmp_path / "run", *words, *options)))
    module, data = made
    items = [(0, place) for place in range(4)]
    if hasattr(data.train, "__getitems__"):
        return module, data.collate(data.train.__getitems__(items))
    return module, data.collate([data.train[item] for item in items])


@pytest.mark.parametrize("stage", STAGES)
def test_a_step_reads_nothing_back_and_sends_nothing(
    stage, make_values, train_chain, tmp_path, monkeypatch, on_meta
):
    module, batch = stage_and_batch(stage, make_values, train_chain, tmp_path, monkeypatch)
    monkeypatch.setattr("lead.training.stage.step_draws", Draws)
    module.to(META).train()
    batch = batch.to(META)
    module.on_fit_start()
    trainer = SimpleNamespace(global_step=4)
    average, finite, clipping = ExponentialAverage(), FiniteLoss(), GradientClipping(1.0)
    average.on_fit_start(pl.Trainer.__new__(pl.Trainer), module)  # only handed through
    optimizer = module.configure_optimizers()["optimizer"]
    module.training_step(batch, 0)  # constants come to a device once, and stay there
    with Crossings() as crossings:
        finite.on_train_batch_start(trainer, module, batch, 0)
        loss = module.training_step(batch, 0)
        finite.on_before_backward(trainer, module, loss)
        loss.backward()
        clipping.on_before_optimizer_step(trainer, module, optimizer)
        average.on_train_batch_end(trainer)
    assert not crossings.seen
    assert all(p.grad is not None for group in optimizer.param_groups for p in group["params"])


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "lcm"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_sampling_reads_nothing_back_and_sends_nothing(sampler, precision):
    denoiser = MldDenoiser(8, 12, width=16, layers=3, feed_forward=24).to(META)
    denoiser = prepare(freeze(denoiser), precision)
    noise, text, null = (
        torch.empty(size, device=META) for size in ((3, 1, 8), (3, 1, 12), (1, 1, 12))
    )
    with Crossings() as crossings:
        out = sample_latents(denoiser, noise, text, null, sampler=sampler, steps=5)
    assert not crossings.seen and out.shape == noise.shape and out.device == META


def test_the_meta_device_would_show_it(on_meta):
    x = torch.empty(2, 3, device=META)
    with pytest.raises(RuntimeError):
        bool(torch.isfinite(x).all())
    with pytest.raises(NotImplementedError):
        x.cpu()
    with pytest.raises(AssertionError, match="would have to be sent"):
        x[:, [0, 2]]
    with Crossings() as crossings:
        torch.ones(2).to(META)
    assert crossings.seen


class OnGpu(torch.Tensor):
    """A number that says it is on a GPU."""

    device = property(lambda _: torch.device("cuda"))


def losses_of(values: list[float], kind: type) -> FiniteLoss:
    """What is left after steps with these losses, if it lets them all pass."""
    finite = FiniteLoss()
    for step, value in enumerate(values):
        finite.on_train_batch_start(None, None, SimpleNamespace(ids=[f"clip{step}"]), step)
        loss = torch.tensor(value).as_subclass(kind)
        finite.on_before_backward(SimpleNamespace(global_step=step), None, loss)
    return finite


def test_on_a_processor_a_bad_loss_stops_its_own_step():
    losses_of([1.0, 2.0], torch.Tensor).check()
    with pytest.raises(WorkError, match=r"not finite at step 1; clips of this batch: clip1\."):
        losses_of([1.0, float("nan"), 2.0], torch.Tensor)


def test_on_a_gpu_losses_are_looked_at_together_and_the_first_bad_one_is_named():
    bad = [1.0, float("inf"), float("nan"), 1.0]
    for asked in ("check", "on_validation_start"):
        finite = losses_of(bad, OnGpu)  # nobody waited
        with pytest.raises(WorkError, match="not finite at step 1; clips of this batch: clip1"):
            getattr(finite, asked)(*([] if asked == "check" else [None, None]))
    with pytest.raises(WorkError, match="not finite at step 1"):
        losses_of(bad + [1.0] * (finite_loss.TOGETHER - len(bad)), OnGpu)
    losses_of([1.0] * (finite_loss.TOGETHER + 1), OnGpu).check()


def test_every_tensor_of_a_batch_is_pinned(monkeypatch):
    pinned = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor.clone())
        return pinned[-1]

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    motions = MotionBatch(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), ["a"])
    motions = motions.pin_memory()
    assert [id(part) for part in pinned] == [id(motions.x), id(motions.mask)]
    pinned.clear()
    latents = LatentBatch(*(torch.zeros(1, 1, 2) for _ in range(4)), ["a"])
    latents = latents.pin_memory()
    parts = (latents.mu, latents.logvar, latents.text, latents.null_text)
    assert {id(part) for part in pinned} == {id(part) for part in parts} and len(pinned) == 4


@pytest.mark.parametrize("room", [True, False])
def test_latents_move_to_a_gpu_that_has_room_for_them(room, monkeypatch):
    data = cached_latents(3, 4, 0)
    names = ("mu", "logvar", "embeddings")
    before = [getattr(data, name) for name in names]
    free = 4 * sum(tensor.nbytes for tensor in before) - (not room)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 10**12))
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, _device: tensor.clone())
    data.move_to(torch.device("cpu"))
    assert all(getattr(data, name) is tensor for name, tensor in zip(names, before, strict=True))
    data.move_to(torch.device("cuda"))
    for name, tensor in zip(names, before, strict=True):
        assert (getattr(data, name) is tensor) is not room
        assert torch.equal(getattr(data, name), tensor)
