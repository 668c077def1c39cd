"""Text embedding -> joints with the paper's models: batch 1, batch 32, and one distilled step."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lead.bench import counts
from lead.bench.machine import Machine
from lead.bench.models import PlainModels, distilled_denoiser, embeddings, paper_models, sampling
from lead.bench.record import Row
from lead.bench.setting import BenchOptions, Setting
from lead.bench.timing import alternate, median
from lead.core.masks import lengths_to_mask
from lead.core.seeding import make_generator
from lead.generation import MotionModel
from lead.representation import features_to_joints

REPLACED = "beside the plain 50 guided steps, which it replaces"


@dataclass(frozen=True)
class Job:
    """Motions to make: their embedded sentences (the empty one last), seeds and frames."""

    condition: Tensor
    frames: list[int]

    @property
    def names(self) -> list[str]:
        """Stand-ins for the sentences, which name the noise."""
        return [f"sentence {row}" for row in range(len(self.frames))]

    def noise(self, device: torch.device) -> Tensor:
        """The noise that a pipeline starts from."""
        rows = enumerate(self.names)
        return torch.stack(
            [torch.randn(1, 256, generator=make_generator(n, "latent", name)) for n, name in rows]
        ).to(device)


def measure(setting: Setting, machine: Machine, options: BenchOptions) -> list[Row]:
    """The rows of `lead bench generate`."""
    pipeline, plain = paper_models(setting)
    fast = {name: pipeline.prepared(name) for name in machine.flops}
    compiled = _compiled(pipeline, machine) if options.compiled else {}
    sizes = dict.fromkeys([1, 32, *([options.batch] if options.batch else [])])
    rows = []
    for batch in sizes:
        job = Job(embeddings(setting, batch), [options.frames] * batch)
        rows += _compared(setting, machine, fast | compiled, plain, job)
    one = Job(embeddings(setting, 1), [options.frames])
    student = replace(pipeline, denoiser=distilled_denoiser(setting))
    students = {name: student.prepared(name) for name in machine.flops}
    students |= _compiled(student, machine) if options.compiled else {}
    return [*rows, *_compared(setting, machine, students, plain, one, distilled=True)]


def _compiled(pipeline: MotionModel, machine: Machine) -> dict:
    """The pipeline in each precision, with networks that torch compiles at their first use."""
    return {f"{name} compiled": pipeline.prepared(name, compiled=True) for name in machine.flops}


def joints_of(pipeline: MotionModel, job: Job, distilled: bool = False) -> Tensor:
    """What `lead generate` does between the text encoder and the files."""
    seeds = list(range(len(job.frames)))
    latents = pipeline.sample(
        job.names, job.frames, seeds, sampling(distilled), project=True, condition=job.condition
    )
    return features_to_joints(pipeline.decode(latents, job.frames))


def plain_joints(plain: PlainModels, job: Job) -> Tensor:
    """The same motions by straightforward code."""
    device = job.condition.device
    mask = lengths_to_mask(torch.tensor(job.frames, device=device))
    condition = job.condition
    return plain.generate(job.noise(device), condition[:-1], condition[-1:], mask).cpu()


def _compared(
    setting: Setting,
    machine: Machine,
    fast: dict,
    plain: PlainModels,
    job: Job,
    distilled: bool = False,
) -> list[Row]:
    works = {"plain": lambda: plain_joints(plain, job)}
    works |= {name: lambda own=own: joints_of(own, job, distilled) for name, own in fast.items()}
    results = {name: work() for name, work in works.items()}
    seconds = alternate(works, setting, warm_up=False)
    batch, frames = len(job.frames), job.frames[0]
    steps, what = (1, "one distilled step") if distilled else (50, "50 steps")
    return [
        Row(
            f"batch {batch}, {what}, {name}",
            *(batch, "motions", median(seconds[name]), median(seconds["plain"])),
            _floor(machine, name, frames, steps, not distilled, batch),
            *(seconds[name], seconds["plain"]),
            difference="" if distilled else _difference(results[name], results["plain"]),
            remark=REPLACED * distilled,
        )
        for name in fast
    ]


def _floor(machine: Machine, name: str, frames: int, steps: int, guided: bool, batch: int) -> float:
    precision = name.split()[0]
    return machine.floor(*counts.generation(frames, steps, guided, precision, batch), precision)


def _difference(got: Tensor, wanted: Tensor) -> str:
    """Largest relative difference, and the mean distance of joints in mm."""
    relative = float((got - wanted).abs().max() / wanted.abs().max())
    apart = 1000 * float((got - wanted).norm(dim=-1).mean())
    return f"{relative:.1e} relative, {apart:.3f} mm"
