"""lead VERB -m key=A,B key2=range(1,4) [key=value ...] : one job for every combination of values.

-m               also --multirun; several values as in Hydra: A,B  range(1,4)  choice(A,B)  glob(*)
experiment=NAME  the rows of a table as jobs. evaluate: table3, table4, table5, mla_control; train:
                 table6, mla_ablations, mote_tokens, mote_contexts, mote_interaction
rows=[A,B]       some rows of the experiment
launcher=L       local (one by one) | joblib (several at once) | submitit (Slurm)
launcher.KEY=V   at_once, partition, minutes, ... (configs/launcher)
sweep=DIR        default outputs/sweeps/EXPERIMENT, or outputs/sweeps/VERB
evaluate.KEY=V   after `train`: measure the run with these options of `lead evaluate`
measure=each     each | together: every run alone, or all projector runs in one table

Jobs are processes of their own with logs in DIR/jobs, runs stand in DIR/runs. The same command
again goes on where it was stopped: finished jobs are not run again, unless a run or data set that
they name has changed. DIR/table.md holds the results of the last command there.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from lead.cli import train
from lead.cli.config import compose
from lead.cli.sweep_words import expand, load_experiment
from lead.core.errors import RequestError
from lead.core.files import check_writable
from lead.core.runs import Run
from lead.sweeps.expanding import Experiment, Job
from lead.sweeps.job import JobFolder

FLAGS = ("-m", "--multirun")
OWN = ("sweep", "rows", "measure", "launcher")
NAMED_BY_SWEEP = {
    "train": ("run", "resume", "overwrite"),
    "evaluate": ("output",),
    "generate": ("output", "overwrite"),
}
"""Options that a sweep sets for each job."""


def run(verb: str, words: Sequence[str]) -> int:
    """Run all jobs that are not finished and print their results; 1 where one failed."""
    own = [word for word in words if _key(word).partition(".")[0] in OWN]
    named = [word for word in words if _key(word) == "experiment"]
    name = named[-1].partition("=")[2] if named else verb
    experiment = load_experiment(name) if named else None
    config = compose("sweep", own)
    _check_experiment(verb, experiment)
    rest = [word for word in words if word not in (*own, *named)]
    jobs = expand(verb, rest, experiment, config["rows"])
    for earlier in dict.fromkeys(run for job in jobs for run in _check(job)):
        _ = Run(earlier).record
    together = _together(config, experiment, own) and any(job.measure for job in jobs)
    sweep = Path(config["sweep"] or f"outputs/sweeps/{name}")
    check_writable(sweep)

    from lead.core.building import build
    from lead.sweeps.running import run_sweep

    launcher = build("launcher", config["launcher"])
    return _say_failed(run_sweep(jobs, sweep, launcher, together=together, say=_say))


def _key(word: str) -> str:
    return word.partition("=")[0]


def _check_experiment(verb: str, experiment: Experiment | None) -> None:
    if experiment is not None and experiment.verb != verb:
        raise RequestError(
            f"this experiment is one of `lead {experiment.verb} -m`, not of `lead {verb} -m`"
        )


def _together(config: dict, experiment: Experiment | None, own: Sequence[str]) -> bool:
    said = any(_key(word) == "measure" for word in own)
    measure = config["measure"] if said or experiment is None else experiment.measure
    return measure == "together"


def _check(job: Job) -> list[Path]:
    """The runs that a training stands on; RequestError where its words are no options of a verb."""
    for word in job.words:
        if _key(word) in NAMED_BY_SWEEP.get(job.verb, ()):
            raise RequestError(
                f"'{word}': a sweep sets {_key(word)} for each job: leave it out, sweep=DIR names "
                "the folder of all of them"
            )
    if job.measure and job.verb != "train":
        raise RequestError(f"evaluate.KEY= options follow `lead train -m`, not `lead {job.verb}`")
    words = [word for word in job.words if "=" in word]
    asked = train.read(words) if job.verb == "train" else compose(job.verb, words)
    if job.measure:
        compose("evaluate", job.measure)
    return [*asked.earlier.values()] if job.verb == "train" else []


def _say(line: str) -> None:
    print(line, flush=True)


def _say_failed(failed: Sequence[JobFolder]) -> int:
    for place in failed:
        error = place.record.error
        print(f"failed: {place.name}: {error}; log: {place.log}", file=sys.stderr)
    if failed:
        print("the same command runs these again, and no others", file=sys.stderr)
    return 1 if failed else 0
