"""Sweeps: Hydra's grammar, experiment files, jobs that are killed, fail, resume and end in a table.

A worker without imports stands in for the commands of the jobs.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lead.cli import sweep
from lead.cli.config import compose
from lead.cli.main import main
from lead.cli.paths import config_folder
from lead.cli.sweep_words import Experiment, Job, expand, load_experiment
from lead.core.errors import RequestError
from lead.core.reading import read_json
from lead.sweeps import job as sweep_job
from lead.sweeps.job import Planned
from lead.sweeps.launchers import Requeued, SubmititLauncher

WORKER = (sys.executable, "-S", str(Path(__file__).with_name("sweep_worker.py")))
SIX = ["run=a,b", "seed=1,2,3", "protocol=open", "evaluator=E"]
FOLDER = Path("outputs/sweeps/evaluate")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working directory in which jobs are done by the worker."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAN", str(tmp_path / "ran.txt"))
    monkeypatch.setattr(sweep_job, "COMMAND", WORKER)
    sweep_job._stopping.clear()
    return tmp_path


def ran(folder: Path) -> Counter:
    """How often each job's first command began."""
    path = folder / "ran.txt"
    lines = path.read_text().splitlines() if path.is_file() else []
    return Counter(" ".join(line.split()[:3]) for line in lines)


# Words


def words_of(*words: str, verb: str = "train", **options) -> list[tuple[str, ...]]:
    return [job.words for job in expand(verb, words, options.get("experiment"))]


def test_every_combination_in_the_order_written():
    assert words_of("seed=1,2", "stage=vae", "size=tiny,small") == [
        ("seed=1", "stage=vae", "size=tiny"),
        ("seed=1", "stage=vae", "size=small"),
        ("seed=2", "stage=vae", "size=tiny"),
        ("seed=2", "stage=vae", "size=small"),
    ]


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("seed=range(1,4)", ["1", "2", "3"]),
        ("seed=choice(4,9)", ["4", "9"]),
        ("trainer.logger=[wandb],[]", ["[wandb]", "[]"]),
        ("resume=true,false", ["true", "false"]),
        ("diffusion='a b',c", ["a b", "c"]),
        ("evaluate.sampling=lcm1,lcm2", ["lcm1", "lcm2"]),
        ("model/projector=glob(*,exclude=[linear,mlp])", ["skip", "transformer"]),
        ("stage.module.align_weight=0", ["0"]),
        ("run=out (2)/a,b", ["out (2)/a,b"]),
        ("word=<a>,<b>", ["<a>,<b>"]),
        ("init=a,b", ["a", "b"]),
    ],
)
def test_hydras_grammar_of_several_values(word, values):
    jobs = expand("train", [word], None)
    key = word.partition("=")[0]
    assert [(*job.words, *job.measure) for job in jobs] == [
        (f"{key.removeprefix('evaluate.')}={value}",) for value in values
    ]
    named = key.replace("/", ".").rpartition(".")[2]
    shown = [{named: value} for value in values] if len(values) > 1 else [{}]
    assert [job.labels for job in jobs] == shown


def test_a_path_with_a_comma_that_exists_is_one_value(tmp_path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    assert words_of(f"diffusion={folder}") == [(f"diffusion={folder}",)]


def test_the_last_word_for_a_key_counts_and_rows_come_last():
    rows = {"one": ["seed=7"], "two": ["seed=8", "size=tiny"]}
    experiment = Experiment(verb="train", words=["seed=1,2", "size=small"], rows=rows)
    jobs = expand("train", ["size=paper", "stage=projector"], experiment)
    assert {job.words for job in jobs if job.labels["row"] == "two"} == {
        ("seed=8", "size=tiny", "stage=projector")
    }
    assert len(expand("train", ["seed=5"], experiment, ["one"])) == 1
    with pytest.raises(RequestError, match="unknown row 'three': known: one, two"):
        expand("train", [], experiment, ["three"])


def test_labels_of_keys_that_end_alike_are_whole():
    (job, *_) = expand("train", ["model.vae.width=1,2", "model.denoiser.width=3,4"], None)
    assert job.labels == {"model.vae.width": "1", "model.denoiser.width": "3"}


@pytest.mark.parametrize("name", [p.stem for p in (config_folder() / "experiment").glob("*.yaml")])
def test_every_experiment_composes(name):
    experiment = load_experiment(name)
    jobs = expand(experiment.verb, [], experiment)
    for job in {job.labels.get("row"): job for job in jobs}.values():
        sweep._check(job)
    assert len({Planned(job, Path()).place for job in jobs}) == len(jobs) > 0


def test_the_papers_experiments():
    """Table 5: 1, 2, 4 steps; table 6: six projectors, each of three seeds."""
    steps = load_experiment("table5")
    samplings = [job.labels["sampling"] for job in expand("evaluate", [], steps)]
    found = [compose("evaluate", [f"sampling={name}"])["sampling"] for name in samplings]
    assert [(of["sampler"], of["steps"]) for of in found] == [("lcm", 1), ("lcm", 2), ("lcm", 4)]
    projectors = load_experiment("table6")
    jobs = expand("train", [], projectors)
    assert len(jobs) == 18 and {len(job.labels) for job in jobs} == {2}
    own = {row: words[0] for row, words in projectors.rows.items()}
    kinds = {row: own.pop(row).partition("model/projector=")[2] for row in [*own][:3]}
    assert {*kinds} == {*kinds.values()} == {"transformer", "skip", "mlp"}
    module = compose("train", ["stage=projector"])["stage"]["module"]
    assert {row: f"{word.removeprefix('stage.module.')}" for row, word in own.items()} == {
        **{"without KL": "var_weight=0", "without Align": "align_weight=0"},
        **{"without Rec": "rec_weight=0"},
    }
    assert all(module[f"{name}_weight"] > 0 for name in ("var", "align", "rec"))


def test_the_ablations_of_flows():
    """Memory by words, two masks, words without text; two seeds each."""
    jobs = expand("train", [], load_experiment("mla_ablations"))
    assert len(jobs) == 14 and {job.labels["seed"] for job in jobs} == {"1234", "1235"}
    first, last = jobs[0], jobs[-1]
    assert first.labels["row"] == "neither" and "model.flow.memory_slots=0" in first.words
    parts = compose("train", last.words)["model"]["flow"]
    assert (parts["memory_slots"], parts["local_every"], parts["sink_threshold"]) == (16, 2, 0.2)
    controls = expand("evaluate", ["run=a,b"], load_experiment("mla_control"))
    found = [compose("evaluate", job.words)["sampling"] for job in controls]
    assert [(s["sink_base"], s["sink_alpha"]) for s in found[::2]] == [
        *((None, 0.0), (0.05, 1.0), (0.05, 0), (0.05, 1.0), (0.05, 1.0)),
    ]
    assert {job.labels["run"] for job in controls} == {"a", "b"} and len(controls) == 10


@pytest.mark.parametrize(
    ("name", "words", "count"),
    [
        ("mote_interaction", (), 5),
        ("mote_contexts", (), 6),
        ("mote_tokens", ("vae=a,b",), 2),
    ],
)
def test_the_questions_of_mote(name, words, count):
    """Every job is a training that can be asked for, with shares that are all of the clips."""
    jobs = expand("train", [*words], load_experiment(name))
    assert len(jobs) == count
    for job in jobs:
        values = compose("train", job.words)
        assert sum(values["stage"]["module"]["contexts"].values()) == pytest.approx(1)


# What is refused before any job begins


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "-m", "sede=1,2"], "unknown option 'sede'"),
        (["train", "-m", "run=x", "seed=1,2"], "'run=x': a sweep sets run for each job"),
        (["evaluate", "-m", "output=x", "run=a,b"], "a sweep sets output for each job"),
        (["train", "-m", "lr=interval(0,1)"], "has no end of values: list them"),
        (["train", "-m", "experiment=table7"], "unknown experiment 'table7': did you mean"),
        (["train", "-m", "experiment=table5"], "one of `lead evaluate -m`, not of `lead train -m`"),
        (["train", "-m", "seed=1,2", "launcher=slurm"], "unknown launcher 'slurm'"),
        (["train", "-m", "seed=1,2", "launcher=joblib", "launcher.at_once=0"], "to 1024, got 0"),
        (["train", "-m", "seed=1,2", "launcher.at_once=2"], "unknown option 'launcher.at_once'"),
        (["train", "-m", "seed=1,2", "measure=both"], "unknown measure 'both': known: each"),
        (["generate", "-m", "seed=1,2", "evaluate.seed=1"], "follow `lead train -m`"),
        (["train", "-m", "seed=1,2", "evaluate.sede=1"], "option 'sede' of `lead evaluate`"),
        (["train", "-m", "stage=projector", "diffusion=nope", "seed=1,2"], "nope is not a run"),
        (["train", "experiment=table6"], "many jobs: say `lead train -m experiment=table6`"),
    ],
)
def test_what_cannot_work_is_one_line(here, capsys, words, message):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not list(here.iterdir())


# Jobs


def test_a_sweep_ends_in_a_table_and_is_not_run_again(here, capsys):
    assert main(["evaluate", "-m", *SIX]) == 0
    first = capsys.readouterr().out
    assert "6 jobs" in first and "[6/6] finished b-3-" in first
    table = (FOLDER / "table.md").read_text()
    assert table in first
    lead = [line.split("|") for line in table.splitlines() if line.startswith("| generated (LEAD)")]
    shown = [(cells[2].strip(), cells[3].strip(), cells[4].strip()) for cells in lead]
    a, b = sum(map(ord, "a")) % 97, sum(map(ord, "b")) % 97
    assert shown == [
        *((run, str(seed), f"{of + seed:.3f} ± 0.500") for run, of in (("a", a), ("b", b))
          for seed in (1, 2, 3)),
        *((run, "3", f"{of + 2:.3f} ± {1.96 / 3**0.5:.3f}") for run, of in (("a", a), ("b", b))),
    ]  # fmt: skip
    assert table.count("| Real ") == 2 and table.count("VAE reconstruction") == 1
    assert main(["evaluate", "-m", *SIX]) == 0
    assert set(ran(here).values()) == {1} and len(ran(here)) == 6
    assert (FOLDER / "table.md").read_text() == table
    assert main(["evaluate", "--multirun", *SIX[:1], "seed=3,4", *SIX[2:]]) == 0
    assert sum(ran(here).values()) == 8


def test_a_job_whose_run_has_changed_is_run_again(here):
    weights = here / "a" / "weights" / "vae.safetensors"
    weights.parent.mkdir(parents=True)
    for content in ("old", "old", "new"):
        weights.write_text(content)
        assert main(["evaluate", "-m", *SIX]) == 0
    assert Counter(ran(here).values()) == {2: 3, 1: 3}


def test_failed_jobs_are_lines_and_are_tried_again(here, capsys):
    words = ["evaluate", "-m", "run=a,bad,c", "protocol=open", "evaluator=E"]
    assert main(words) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("failed: bad-")
    assert "a bad value: take another (exit code 1); log: outputs/sweeps/" in lines[0]
    assert "| generated (LEAD)" in (FOLDER / "table.md").read_text()
    assert main(words) == 1
    assert ran(here) == {"evaluate run=a protocol=open": 1, "evaluate run=bad protocol=open": 2,
                         "evaluate run=c protocol=open": 1}  # fmt: skip


def start(words: list[str], folder: Path, hold: int) -> subprocess.Popen:
    """A sweep in a session of its own, whose worker stays in its job number ``hold``."""
    program = (
        "import sys\nfrom lead.cli import main\nfrom lead.sweeps import job as sweep_job\n"
        f"sweep_job.COMMAND = {WORKER!r}\nsys.exit(main.main({words!r}))"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "HOLD": str(hold)}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(folder: Path) -> list[str]:
    files = sorted((folder / FOLDER / "jobs").glob("*/job.json"))
    return [path.parent.name for path in files if read_json(path)["state"] == "finished"]


def wait_for(happened: Callable[[], bool], process: subprocess.Popen) -> None:
    while not happened():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_of_six_jobs_killed_half_way_resumes(here, tmp_path_factory, monkeypatch, number):
    whole = tmp_path_factory.mktemp("whole")
    process = start(["evaluate", "-m", *SIX], here, hold=4)
    wait_for(lambda: sum(ran(here).values()) >= 4, process)
    if number == signal.SIGKILL:
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)  # the sweep alone: it has to tell its jobs
    error = process.communicate()[1]
    if number == signal.SIGTERM:
        assert (process.returncode, error) == (130, "lead: interrupted\n")
    assert len(finished(here)) == 3
    assert main(["evaluate", "-m", *SIX]) == 0
    assert len(finished(here)) == 6
    assert sum(ran(here).values()) == 7  # the one that was stopped began twice
    table = (FOLDER / "table.md").read_text()
    monkeypatch.chdir(whole)
    assert main(["evaluate", "-m", *SIX]) == 0
    assert (FOLDER / "table.md").read_text() == table


def test_a_job_that_outlived_its_sweep_is_waited_for(here, monkeypatch):
    words = ["evaluate", "-m", "run=a", "protocol=open", "evaluator=E"]
    process = start(words, here, hold=1)
    wait_for(lambda: bool(ran(here)), process)
    os.kill(process.pid, signal.SIGKILL)  # the sweep alone
    process.communicate()
    lock = fcntl.flock

    def locked(stream, how):
        (here / "go").touch()  # not before the second sweep waits does the job of the first end
        lock(stream, how)

    monkeypatch.setattr(fcntl, "flock", locked)
    assert main(words) == 0
    assert sum(ran(here).values()) == 2
    assert (here / "ran.log").read_text().split() == ["began", "ended"] * 2


# Training, and what is measured after it


TRAIN = ["train", "-m", "stage=projector", "seed=1,2", "stage.module.rec_weight=3,4"]
MEASURE = ["evaluate.protocol=open", "evaluate.evaluator=E"]


def tables_of(path: str) -> list[list[dict[str, str]]]:
    """Every table of a file of Markdown, a dictionary by its headings for each row."""
    tables, before = [], ""
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not before.startswith("|"):
            tables.append([])
            headings = cells
        elif line.startswith("|") and set(line) - set("|-: "):
            tables[-1].append(dict(zip(headings, cells, strict=True)))
        before = line
    return tables


def test_trainings_alone_are_tables_of_losses_with_means_over_seeds(here, capsys):
    """A column an option; terms at the best step; no total where the jobs weigh it differently."""
    assert main(TRAIN) == 0
    told = capsys.readouterr().out
    each, means = tables_of("outputs/sweeps/train/table.md")
    shown = [(row["seed"], row["rec_weight"], row["val/rec"], row["step"]) for row in each]
    assert shown == [(s, w, f"{(int(w) + int(s) / 100) / 2:.5f}", "5") for s in "12" for w in "34"]
    folders = sorted(path.name for path in Path("outputs/sweeps/train/runs").iterdir())
    assert sorted(row["source"] for row in each) == folders and each[0][""] == "projector"
    half = 1.96 * 0.005 / 2**0.5 / 2**0.5  # the terms of two seeds are 0.005 apart
    assert [(row["rec_weight"], row["seeds"], row["val/rec"]) for row in means] == [
        (w, "2", f"{int(w) / 2 + 0.0075:.5f} ± {half:.5f}") for w in "34"
    ]
    assert "val/loss is left out: it contains stage.module.rec_weight, which differs" in told
    assert not any("loss" in heading for heading in each[0])


def test_totals_of_the_same_weights_are_compared(here):
    assert main([*TRAIN[:3], "seed=1,2", "stages.projector.batch_size=2,4"]) == 0
    each, means = tables_of("outputs/sweeps/train/table.md")
    assert [row["best val/loss"] for row in each] == [f"{1 + s / 100:.5f}" for s in (1, 1, 2, 2)]
    assert [row["batch_size"] for row in means] == ["2", "4"]


def test_each_run_is_measured_alone(here, capsys):
    assert main([*TRAIN, *MEASURE]) == 0
    lines = (here / "ran.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["train", "evaluate"] * 4
    assert all("resume=true" in line for line in lines[::2])
    assert lines[1].split()[1] == next(w for w in lines[0].split() if w.startswith("run="))


def test_all_runs_are_measured_together(here, capsys):
    assert main([*TRAIN, *MEASURE, "measure=together"]) == 0
    lines = (here / "ran.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["train"] * 4 + ["evaluate"]
    table = (here / "outputs/sweeps/train/table.md").read_text()
    rows = [
        tuple(cell.strip() for cell in line.split("|")[2:5])
        for line in table.splitlines() if line.startswith("| generated (LEAD)")
    ]  # fmt: skip
    assert rows[1:4] == [(s, w, f"{int(w) + int(s) / 100:.3f} ± 0.500")
                         for s, w in (("1", "4"), ("2", "3"), ("2", "4"))]  # fmt: skip
    assert rows[5][:1] == ("4",) and rows[5][2].startswith("4.015 ± ")  # over the two seeds
    assert main([*TRAIN, *MEASURE, "measure=together"]) == 0
    assert len((here / "ran.txt").read_text().splitlines()) == 5


# Launchers


def test_joblib_runs_several_at_once_with_a_gpu_each(here, monkeypatch):
    pytest.importorskip("joblib")
    monkeypatch.setenv("MEET", "6")
    assert main(["evaluate", "-m", *SIX, "launcher=joblib", "launcher.at_once=6"]) == 0
    assert (here / "ran.log").read_text().split() == ["began"] * 6 + ["ended"] * 6
    monkeypatch.setenv("MEET", "8")  # the first two of the next six
    words = [*SIX, "clips=3", "launcher=joblib", "launcher.at_once=3", "launcher.gpus=[4,7]"]
    assert main(["evaluate", "-m", *words]) == 0
    logs = [path.read_text() for path in (here / FOLDER / "jobs").glob("*/log.txt")]
    seen = Counter(log.split("gpu ")[1].strip() for log in logs)
    assert seen["None"] == 6 and seen["4"] + seen["7"] == 6 and min(seen.values()) > 0


def test_submitit_in_this_process_and_in_others(here):
    pytest.importorskip("submitit")
    words = ["run=a,bad", "protocol=open", "evaluator=E", "launcher=submitit"]
    assert main(["evaluate", "-m", *words, "launcher.cluster=debug"]) == 1
    assert [read_json(p)["state"] for p in sorted((here / FOLDER).glob("jobs/*/job.json"))] == [
        *("finished", "failed"),
    ]


def test_a_job_that_slurm_stops_is_queued_again(here):
    pytest.importorskip("submitit")
    place = Planned(Job("train", ("seed=1",)), here).place
    again = Requeued().checkpoint(place)
    assert isinstance(again.function, Requeued) and again.args == (place,)


def test_slurm_parameters_carry_the_launchers_options():
    given = SubmititLauncher(partition="gpu", minutes=30, gpus_per_node=0, setup=["module load x"])
    found = given._parameters("table6")
    assert found["slurm_partition"] == "gpu" and found["timeout_min"] == 30
    assert found["slurm_setup"] == ["module load x"] and found["name"] == "lead-table6"
    assert "gpus_per_node" not in found and "slurm_account" not in found


def test_without_a_cluster_the_line_says_so(here, capsys, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    assert main(["evaluate", "-m", *SIX, "launcher=submitit"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("lead: cannot start jobs on 'slurm'") and len(error.splitlines()) == 1
