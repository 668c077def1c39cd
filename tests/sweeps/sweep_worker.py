"""Stands in for `lead` in tests of sweeps: few imports, a fixed result for each set of words.

Notes in the file RAN that it began; fails where a word says bad; sleeps as long as DELAY. It waits
until MEET jobs have begun; as the HOLD-th and later ones, until there is a file `go` beside RAN.
"""

import json
import os
import sys
import time
from pathlib import Path

verb, *words = sys.argv[1:]
given = dict(word.split("=", 1) for word in words)
notes = Path(os.environ["RAN"])


def note(path: Path, line: str) -> int:
    """Add a line; how many there are."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
    return len(path.read_text(encoding="utf-8").splitlines())


def wait(happened) -> None:
    end = time.monotonic() + 60
    while not happened():
        if time.monotonic() > end:
            sys.exit("lead: waited in vain")
        time.sleep(0.01)


note(notes.with_suffix(".log"), "began")
number = note(notes, " ".join([verb, *words]))
meet, hold = (int(os.environ.get(name, "0")) for name in ("MEET", "HOLD"))
wait(lambda: len(notes.read_text(encoding="utf-8").splitlines()) >= meet)
if 0 < hold <= number:
    wait(notes.with_name("go").exists)
time.sleep(float(os.environ.get("DELAY", "0")))
if "bad" in given.values():
    sys.exit("lead: a bad value: take another")
sys.stdout.write(f"gpu {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
if verb == "train":
    run = Path(given["run"])
    (run / "weights").mkdir(parents=True, exist_ok=True)
    (run / "weights" / "projector.safetensors").write_text(str(words))
    loss = int(given["seed"]) / 100 + float(given.get("stage.module.rec_weight", 1))
    record = {
        **{"schema": 1, "stage": "projector", "parts": {"projector": {"_target_": "projector"}}},
        "dataset": {"name": "none", "skeleton": "humanml3d", "fps": 20, "frames": [1, 2]},
        "best": {"val/loss": loss, "step": 5},
    }
    (run / "run.json").write_text(json.dumps(record))
    log = [f"1,val/loss,{loss + 1}", "1,val/rec,9", f"4,val/loss,{loss}", f"4,val/rec,{loss / 2}"]
    (run / "metrics.csv").write_text("\n".join(["step,name,value", *log, "9,val/rec,8", ""]))
if verb == "evaluate":
    rows = {"Real": 0.0, "VAE reconstruction": 1.0, "generated (MLD)": 3.0}
    rows["generated (LEAD)"] = sum(map(ord, given["run"])) % 97 + float(given.get("seed", 0))
    for name in filter(None, given.get("projectors", "")[1:-1].split(",")):
        run = Path(name.strip("'"))
        best = json.loads((run / "run.json").read_text())["best"]
        rows[f"generated ({run.name})"] = best["val/loss"]
    metrics = {
        "evaluator": {"name": "fake", "fingerprint": "0123456789abcdef"},
        "protocol": {"name": "open"},
        "headline": "a fake judge",
        **{"dataset": "none", "split": "test", "clips": 9, "data_hash": "feedfeedfeed"},
        "rows": {
            name: {"fid": {"mean": mean, "margin": 0.5, "count": 2}} for name, mean in rows.items()
        },
    }
    Path(given["output"]).write_text(json.dumps(metrics), encoding="utf-8")
note(notes.with_suffix(".log"), "ended")
