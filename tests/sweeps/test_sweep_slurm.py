"""Sweeps on a cluster, with programs that stand in for Slurm's; and real trainings, killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lead.core.reading import read_json

WORKER = (sys.executable, "-S", str(Path(__file__).with_name("sweep_worker.py")))
SBATCH = """#!/usr/bin/env bash
script="${@: -1}"
echo "$@" >> "$CLUSTER/submitted"
job=$(wc -l < "$CLUSTER/submitted")00
tasks=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
export SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_NTASKS=1
export SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=here SLURM_JOB_ID=$job
(
  [ -n "$tasks" ] || bash "$script"
  for task in $([ -z "$tasks" ] || seq 0 "$tasks"); do
    export SLURM_JOB_ID=$((job + 1 + task)) SLURM_ARRAY_JOB_ID=$job SLURM_ARRAY_TASK_ID=$task
    bash "$script"
  done
) > "$CLUSTER/log" 2>&1 &
echo "Submitted batch job $job"
"""
SRUN = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do
  case $1 in --output|--error) shift ;; esac
  shift
done
exec "$@"
"""
SACCT = "#!/usr/bin/env bash\necho 'JobID|State|NodeList'\n"


@pytest.fixture
def cluster(tmp_path) -> dict[str, str]:
    """An environment in which sbatch runs a job array, one task after the other."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("sacct", SACCT)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    root = Path(__file__).resolve().parents[2]
    return {
        **os.environ,
        **{"PATH": f"{programs}:{os.environ['PATH']}", "CLUSTER": str(tmp_path)},
        **{"PYTHONPATH": str(root), "RAN": str(tmp_path / "ran.txt"), "DELAY": "0.5"},
    }


def start(words: list[str], folder: Path, environment: dict) -> subprocess.Popen:
    program = (
        "import sys\nfrom lead.cli import main\nfrom lead.sweeps import job as sweep_job\n"
        f"sweep_job.COMMAND = {WORKER!r}\nsys.exit(main.main({words!r}))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def states(folder: Path) -> list[str]:
    return [read_json(p)["state"] for p in sorted(folder.glob("outputs/sweeps/*/jobs/*/job.json"))]


@pytest.mark.slow
def test_slurm_jobs_go_on_without_the_sweep_and_are_not_queued_twice(cluster, tmp_path):
    pytest.importorskip("submitit")
    words = ["evaluate", "-m", "run=a,b,c", "protocol=open", "evaluator=E", "launcher=submitit"]
    words += ["launcher.partition=gpu", "launcher.minutes=30"]
    first = start(words, tmp_path, cluster)
    while "finished" not in states(tmp_path):
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    first.kill()
    first.communicate()
    second = start(words, tmp_path, cluster)
    out, err = second.communicate(timeout=300)
    assert second.returncode == 0, err
    assert states(tmp_path) == ["finished"] * 3
    assert out.count("| generated (LEAD)") == 3
    assert len((tmp_path / "ran.txt").read_text().splitlines()) == 3
    assert len((tmp_path / "submitted").read_text().splitlines()) == 1
    script = next(tmp_path.glob("outputs/sweeps/evaluate/submitit/*.sh")).read_text()
    for option in ("--array=0-2%3", "--partition=gpu", "--time=30", "--gpus-per-node=1"):
        assert f"#SBATCH {option}\n" in script


@pytest.mark.slow
def test_submitits_own_processes(cluster, tmp_path):
    pytest.importorskip("submitit")
    words = ["evaluate", "-m", "run=a,b", "protocol=open", "evaluator=E", "launcher=submitit"]
    process = start([*words, "launcher.cluster=local"], tmp_path, cluster)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert states(tmp_path) == ["finished", "finished"]


@pytest.mark.slow
def test_six_trainings_killed_half_way_end_in_the_same_table(world, tmp_path_factory):
    words = [
        *("train", "-m", "stage=projector", "size=tiny", "text_encoder=hash", "seed=1,2,3"),
        *("stage.module.align_weight=0,1", f"dataset={world.data}", "trainer.accelerator=cpu"),
        *(f"diffusion={world.run('diffusion')}", "trainer.max_steps=30", "trainer.precision=fp32"),
        *("trainer.validate_every=10", "trainer.threads=1", "launcher=joblib"),
    ]
    whole = tmp_path_factory.mktemp("whole")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}

    def sweep(folder: Path) -> subprocess.Popen:
        command = [sys.executable, "-m", "lead.cli.main", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(
            command, cwd=folder, env=environment, start_new_session=True, **pipes
        )

    killed = sweep(world.here)
    while states(world.here).count("finished") < 3:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    done = {p: p.stat().st_mtime_ns for p in finished_records(world.here)}
    assert 3 <= len(done) < 6
    for folder in (world.here, whole):
        process = sweep(folder)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, out + err
    assert {path: path.stat().st_mtime_ns for path in done} == done
    tables = [f / "outputs/sweeps/train/table.md" for f in (world.here, whole)]
    assert tables[0].read_text() == tables[1].read_text()
    assert tables[0].read_text().count("\n| ") == 6 + 1


def finished_records(folder: Path) -> list[Path]:
    found = folder.glob("outputs/sweeps/*/jobs/*/job.json")
    return [path for path in found if read_json(path)["state"] == "finished"]
