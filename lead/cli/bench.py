"""lead bench SUBJECT [key=value ...] : how fast, beside the floor of this machine and plain code.

SUBJECT          generate | flow | joint | train | prepare | evaluate | import-time | linear |
                 distilled; also subject=SUBJECT
repeats=5        timings of each side, taken in turns; the median counts
batch=N          motions at once (generate: one more row beside 1 and 32; train: default 64;
                 flow: of the training step, default that of each size)
sizes=[S]        flow: entries of configs/size; small and paper
source=FOLDER    prepare: BVH recordings (200 of them) in the place of made ones
run=RUN          distilled: the teacher, with or without projector; default: the starter model;
                 joint: a run of stage=joint_diffusion
student=RUN      distilled: the run that it taught; default: RUN/distill
frames=196       length of the motions
precision=bf16   auto | fp32 | bf16 of the rows that are not fp32 by name
compiled=false   generate: leave out the rows with compiled networks (they need a C++ compiler)
threads=N        of torch; default: one for each core
clock=wall       wall | cpu: processor time, for threads=1 on a machine that is busy
device=auto      cpu | cuda
seed=1           of weights, motions and lengths
output=FILE      JSON; default: only print
plot=FILE.png    linear: draw the cost over 1x, 4x and 16x

Models have the paper's sizes and random weights, `distilled` and `joint` trained ones: this
measures time and nothing else. The floor is the operations over the measured rate of matrix
products, or the bytes over the measured memory bandwidth, whichever takes longer; `plain` is the
same work by straightforward code, in the same run. `ratio` is plain over ours; `floor` is how many
times its floor ours takes.
"""

from collections.abc import Sequence
from pathlib import Path

from lead.bench import SUBJECTS
from lead.cli.config import compose, compose_with_words
from lead.cli.loading import compose_for_run, request
from lead.cli.starter import with_default_run
from lead.core.errors import RequestError, did_you_mean
from lead.core.files import check_png, claimed


def run(overrides: Sequence[str]) -> int:
    """Measure one subject, print its table and write its JSON."""
    config, words = compose_with_words("bench", overrides)
    config["subject"] = _subject(words, config["subject"])
    _check(config)
    if config["subject"] == "distilled":
        config |= _teacher_and_student(config)
    if config["subject"] == "joint":
        config["teacher"] = _named([f"run={config['run']}"] if config["run"] else [])
    if config["subject"] == "flow":
        config["flows"] = _flows(config["sizes"])
    files = [Path(config[key]) for key in ("plot", "output") if config[key] is not None]
    with claimed(*files):
        return _measure(config)


def _measure(config: dict) -> int:
    import importlib

    from lead.bench.machine import measure_machine
    from lead.bench.record import format_rows, write_record
    from lead.bench.setting import BenchOptions, Setting

    options = BenchOptions(**config)
    setting = Setting.of(options)
    machine = measure_machine(setting)
    print(machine.describe())
    rows = importlib.import_module(SUBJECTS[options.subject]).measure(setting, machine, options)
    print(format_rows(rows))
    if options.output is not None:
        write_record(Path(options.output), options.subject, setting, machine, rows)
        print(f"written: {options.output}")
    return 0


def _subject(words: Sequence[str], option: str | None) -> str:
    named = [*words, *([option] if option is not None else [])]
    if len(named) != 1:
        raise RequestError(f"bench measures one subject: lead bench {' | '.join(SUBJECTS)}")
    if named[0] not in SUBJECTS:
        raise RequestError(f"unknown subject '{named[0]}': {did_you_mean(named[0], SUBJECTS)}")
    return named[0]


def _teacher_and_student(config: dict) -> dict:
    """The models that both are; RequestError where the student is no run."""
    run = Path(with_default_run({"run": config["run"]})["run"])
    student = Path(config["student"] or run / "distill")
    if not (student / "run.json").is_file():
        raise RequestError(f"student={student} is no run: name one that stage=distill made")
    teacher, taught = _named([f"run={run}"]), _named([f"run={run}", f"diffusion={student}"])
    return {"teacher": teacher, "taught": taught, "student": str(student)}


def _named(words: Sequence[str]):
    """The values by which a named run generates."""
    from lead.generation.loading import ModelRequest

    return request(ModelRequest, compose_for_run("generate", words))


def _flows(sizes: Sequence[str]) -> list:
    """What stage=flow trains at each size, and what it stands on."""
    from lead.bench.flow_models import FlowSize

    made = []
    for size in sizes:
        config = compose("train", ["stage=flow", f"size={size}"])
        parts = config["model"]
        coder = "vae" if parts["vae"]["_target_"] == "timed_vae" else "autoencoder"
        batch = config["stages"]["flow"]["batch_size"]
        made.append(FlowSize(size, parts["flow"], parts[coder], batch))
    return made


def _check(config: dict) -> None:
    if config["plot"] is not None:
        if config["subject"] != "linear":
            raise RequestError("plot= draws the cost of `lead bench linear`: leave it out here")
        check_png("plot", config["plot"])
