"""Stands in for `lead` in tests of sweeps: few imports, a fixed result for each set of words.

Notes in the file RAN that it began; fails where a word says bad; sleeps as long as DELAY.
"""

import json
import os
import sys
import time
from pathlib import Path

verb, *words = sys.argv[1:]
given = dict(word.split("=", 1) for word in words)
with Path(os.environ["RAN"]).open("a") as ran:
    ran.write(" ".join([verb, *words]) + "\n")
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
    Path(given["output"]).write_text(json.dumps(metrics))
