"""Cost and memory over 1x, 4x and 16x as many clips, and as many frames."""

from pathlib import Path

import torch

from lead.bench import counts
from lead.bench.generate import Job, joints_of
from lead.bench.machine import Machine
from lead.bench.models import embeddings, paper_models
from lead.bench.record import Row
from lead.bench.setting import BenchOptions, Setting
from lead.bench.timing import alternate, median

TIMES = (1, 4, 16)
CLIPS, FRAMES = 4, 24  # 1x


def measure(setting: Setting, machine: Machine, options: BenchOptions) -> list[Row]:
    """The rows of `lead bench linear`, and its plot."""
    pipeline = paper_models(setting)[0].prepared(setting.precision)
    rows = []
    for kind in ("clips", "frames"):
        for times in TIMES:
            clips = CLIPS * times if kind == "clips" else CLIPS
            frames = FRAMES * times if kind == "frames" else options.frames
            job = Job(embeddings(setting, clips), [frames] * clips)
            rows.append(_row(setting, machine, pipeline, job, kind, times))
    if options.plot is not None:
        _draw(Path(options.plot), rows)
    return rows


def _row(setting, machine, pipeline, job: Job, kind: str, times: int) -> Row:
    joints_of(pipeline, job)
    _forget_peak(setting.device)
    before = _memory(setting.device)
    seconds = alternate({"ours": lambda: joints_of(pipeline, job)}, setting)["ours"]
    more = _memory(setting.device, peak=True) - before
    clips, frames = len(job.frames), job.frames[0]
    name = setting.precision
    return Row(
        f"{kind} {times}x: {clips} of {frames} frames",
        *(clips * frames, "frames", median(seconds), None),
        machine.floor(*counts.generation(frames, 50, True, name, clips), name),
        seconds,
        difference=f"{more / 2**20:.0f} MiB more",
    )


def _forget_peak(device: torch.device) -> None:
    """Let the peak of memory begin anew, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return


def _memory(device: torch.device, peak: bool = False) -> int:
    """Bytes in use now, or the most so far; 0 where the system does not say."""
    if device.type == "cuda":
        used = torch.cuda.max_memory_allocated if peak else torch.cuda.memory_allocated
        return used(device)
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0
    wanted = "VmHWM:" if peak else "VmRSS:"
    lines = status.read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if line.startswith(wanted))
    return 1024 * int(line.split()[1])


def _draw(path: Path, rows: list[Row]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from lead.core.files import atomic_path

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for panel, kind in zip(panels, ("clips", "frames"), strict=True):
        own = [row for row in rows if row.name.startswith(kind)]
        first = own[0].ours
        panel.loglog(TIMES, [row.ours for row in own], "o-", label="measured")
        panel.loglog(TIMES, [first * times for times in TIMES], "--", label="in proportion")
        panel.set_xticks(TIMES, [f"{times}x" for times in TIMES])
        panel.minorticks_off()
        panel.set_xlabel(kind)
        panel.set_ylabel("seconds")
        panel.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    pyplot.close(figure)
