"""A run.json from elsewhere, broken in every key and in ways of its own: always one line."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import cycle
from pathlib import Path

import pytest

from lead.cli.main import main
from lead.core.errors import LINE_MOST
from lead.core.runs import Run

DELETED = object()
WRONG = {
    "null": None,
    "text": "zzz",
    "list": [1, "a"],
    "huge": 10**300,
    "object": {"a": {"b": 1}},
    "number": -3.5,
    "long": "x" * 5000,
    "deep": json.loads("[" * 400 + "]" * 400),
    "true": True,
}
STAGES = ("vae", "diffusion", "projector")
REQUIRED = (
    *("schema", "stage", "parts", "_target_", "dataset", "skeleton", "fps", "frames"),
    *("path", "hash", "denoiser", "vae", "projector", "schedule"),
)
"""The last word of keys that no run can do without."""


@pytest.fixture(scope="module")
def runs(chain, tmp_path_factory) -> Path:
    """Copies of the three runs, whose run.json each test breaks and puts back."""
    folder = tmp_path_factory.mktemp("broken") / "checkpoints"
    return shutil.copytree(chain / "checkpoints", folder)


@pytest.fixture
def broken(world, runs, capfd) -> Callable:
    """Run a verb where the run of one stage says something else; its exit code and its line."""
    kept = {file: file.read_text() for file in runs.glob("*/run.json")}

    def run(
        verb: str, stage: str, content: str | bytes, others: dict | None = None
    ) -> tuple[int, str]:
        for name, text in {stage: content, **(others or {})}.items():
            file_of(runs, name).write_bytes(text if isinstance(text, bytes) else text.encode())
        before = folders(runs)
        capfd.readouterr()
        code = main([str(word) for word in words_of(world, runs, verb, stage)])
        line = capfd.readouterr().err.strip()
        if code:
            assert code in (1, 2) and line.startswith("lead: ") and "\n" not in line, line
            assert len(line) <= LINE_MOST + len("lead: ")
            assert folders(runs) == before
        for file, content in kept.items():
            file.write_text(content)
        return code, line

    return run


def folders(runs: Path) -> list[Path]:
    """What lies in the working folder and beside the runs."""
    return sorted([*Path.cwd().iterdir(), *runs.glob("*"), *runs.glob("*/*")])


def file_of(runs: Path, stage: str) -> Path:
    return runs / f"cmu_open-tiny-{stage}" / "run.json"


def words_of(world, runs: Path, verb: str, stage: str) -> list:
    """A command that reads the run of this stage, and would work."""
    run = {name: file_of(runs, name).parent for name in STAGES}
    earlier = {"diffusion": {"vae": run["vae"]}, "projector": {"diffusion": run["diffusion"]}}
    test = [f"dataset={world.data}", "device=cpu", "clips=2", "sampling.steps=2"]
    return {
        "generate": world.generate(run=run["projector"], overwrite="true"),
        "train": world.train("projector", diffusion=run["diffusion"], overwrite="true"),
        "resume": world.train(stage, **earlier.get(stage, {}), run=run[stage], resume="true"),
        "evaluate": ["evaluate", f"run={run['projector']}", *test, "output=metrics.json"],
        "export": ["export", f"run={run['diffusion']}", "format=mld", "output=out.ckpt"],
    }[verb]


def keys(record: dict, before: str = "") -> Iterator[str]:
    """The dotted keys of a record, but for the options that it only remembers."""
    for key, value in record.items():
        yield before + key
        if isinstance(value, dict) and key != "values":
            yield from keys(value, f"{before}{key}.")


def with_value(record: dict, key: str, value: object) -> str:
    record = deepcopy(record)
    *above, last = key.split(".")
    place = record
    for name in above:
        place = place[name]
    if value is DELETED:
        del place[last]
    else:
        place[last] = value
    return json.dumps(record)


@pytest.mark.parametrize("stage", STAGES)
def test_every_key_deleted(broken, runs, stage):
    record = json.loads(file_of(runs, stage).read_text())
    for key in keys(record):
        if re.fullmatch(r"(parts\.\w+|text_encoder)\.(?!_target_).*", key):
            continue  # an option, which has a default
        code, line = broken("generate", stage, with_value(record, key, DELETED))
        assert code or key.split(".")[-1] not in REQUIRED, (key, line)


@pytest.mark.parametrize("verb", ["generate", "train", "resume", "evaluate", "export"])
@pytest.mark.parametrize("stage", STAGES)
def test_every_key_with_a_value_of_another_kind(broken, runs, stage, verb):
    """Each verb with every fifth key; which wrong value a key gets, differs from verb to verb."""
    record = json.loads(file_of(runs, stage).read_text())
    verbs, wrong = cycle(("train", "generate", "export", "resume", "evaluate")), cycle(WRONG)
    for key, own, kind in zip(keys(record), verbs, wrong, strict=False):
        if own == verb:
            code, line = broken(verb, stage, with_value(record, key, WRONG[kind]))
            read = verb != "train" or stage != "projector"
            read &= verb != "export" or stage != "projector"
            assert code or not read or key.split(".")[-1] not in REQUIRED, (key, kind, line)


def point(folder: str) -> dict:
    return {"diffusion": {"path": folder, "hash": "0" * 64}}


CASES = {
    **{f"{kind} as parents": {"parents": value} for kind, value in WRONG.items()},
    "a parent as text": {"parents": {"diffusion": "../diffusion"}},
    "a parent without a path": {"parents": {"diffusion": {"hash": "0" * 64}}},
    "a parent without a hash": {"parents": {"diffusion": {"path": "../diffusion"}}},
    "a parent with a hash of another kind": {"parents": {"diffusion": {"path": "x", "hash": 3}}},
    "a parent of a stage that there is not": {"parents": {"zzz": {"path": "x", "hash": "0" * 64}}},
    "itself": {"parents": point(".")},
    "a path too long": {"parents": point("x/" * 5000)},
    "a name too long": {"parents": point("x" * 900)},
    "a path with a zero byte": {"parents": point("a\0b")},
    "an empty path": {"parents": point("")},
    "a path to nowhere": {"parents": point("/nowhere")},
    "a path to a file": {"parents": point("run.json")},
    "a stage as list": {"stage": ["projector"]},
    "a stage as number": {"stage": 3},
    "a stage that there is not": {"stage": "zzz"},
    "no parts": {"parts": {}},
    "a part without a name": {"parts": {"projector": {}}},
    "a part of another kind": {"parts": {"projector": {"_target_": "motion_vae"}}},
    "a part of a source": {"parts": {"projector": {"_target_": "cmu_open"}}},
    "a part of a function": {"parts": {"projector": {"_target_": "lead.core.files.make_folder"}}},
    "a part of a server": {"parts": {"projector": {"_target_": "lead.cli.demo.make_server"}}},
    "a part that there is not": {"parts": {"../../evil": {"_target_": "projector"}}},
}


@pytest.mark.parametrize("case", CASES)
def test_a_record_that_no_run_has(broken, runs, case):
    record = json.loads(file_of(runs, "projector").read_text())
    code, line = broken("generate", "projector", json.dumps({**record, **CASES[case]}))
    assert code, line


FACTS = {
    "fps": [0, -20, float("nan"), float("inf"), 1e6, "20", [20], None, True],
    "frames": ["12", [12], [12, "196"], [12, 13, 14], [196, 12], [0, 5], [1, 10**12], [1.5, 3], {}],
    "skeleton": ["octopus", "", 3, [], None],
}


@pytest.mark.parametrize("key", FACTS)
def test_facts_of_a_data_set_that_none_has(broken, runs, key):
    record = json.loads(file_of(runs, "vae").read_text())
    for value in FACTS[key]:
        content = json.dumps({**record, "dataset": {**record["dataset"], key: value}})
        code, line = broken("generate", "vae", content)
        assert code, (key, value, line)


SIZES = ["16", [16], None, 16.5, True, 0, -1, 10**6, 10**12, 10**300, float("nan")]


@pytest.mark.parametrize(
    ("stage", "part", "option"),
    [
        *[("vae", "vae", name) for name in ("width", "layers", "latent_tokens")],
        *[("diffusion", "denoiser", name) for name in ("width", "layers", "text_dim")],
        *[("projector", "projector", name) for name in ("width", "layers", "latent_dim")],
    ],
)
def test_sizes_that_no_part_has(broken, runs, stage, part, option):
    record = json.loads(file_of(runs, stage).read_text())
    for value in SIZES:
        parts = {**record["parts"], part: {**record["parts"][part], option: value}}
        code, line = broken("generate", stage, json.dumps({**record, "parts": parts}))
        assert code and option in line, (value, line)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("package", value) for value in ("os.path", "lead.cli", "../x", "a b", "", "/", 3)],
        *[("hub", value) for value in ("../../x", "https://a.b/c", "a", "a/b/c", ["a/b"])],
        *[("name", value) for value in ("../..", "/etc", "a/b", "", "x" * 300)],
        *[("path", value) for value in ("~nobody-of-that-name/x", "nowhere", "a\0b", "x/" * 3000)],
        *[("sha256", value) for value in (3, ["0"], "0")],
    ],
    ids=lambda value: str(value)[:20],
)
def test_text_encoders_that_lead_elsewhere(broken, runs, name, value):
    record = json.loads(file_of(runs, "diffusion").read_text())
    encoder = {"_target_": "minilm", "package": None, "hub": None, name: value}
    code, line = broken("generate", "diffusion", json.dumps({**record, "text_encoder": encoder}))
    assert code, line


CONTENTS = {
    "deep lists": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "deep values": '{"schema": 1, "values": ' + "[" * 900 + "]" * 900 + "}",
    "a number of 5,000 digits": '{"schema": ' + "9" * 5000 + "}",
    "half a character": '{"schema": 1, "stage": "\\ud800"}',
    "no object": "[1, 2]",
    "nothing": "",
    "a zero byte": "\0",
    "no text": b"\xff\xfe",
    "another layout": '{"schema": true}',
    "no layout": "{}",
    "a layout of another kind": '{"schema": {"a": 1}}',
}


@pytest.mark.parametrize("verb", ["generate", "resume"])
@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_that_is_no_record(broken, content, verb):
    code, line = broken(verb, "projector", CONTENTS[content])
    assert code and "cmu_open-tiny-projector" in line, line


@pytest.mark.parametrize("length", [1, 2, 3])
def test_runs_in_a_circle(broken, runs, length):
    """A run that stands on itself, on one that stands on it, and so on."""
    names = ("projector", "diffusion", "distill")[:length]
    copy, contents = runs / "cmu_open-tiny-distill", {}
    if not copy.exists():
        shutil.copytree(runs / "cmu_open-tiny-diffusion", copy)
    for name, following in zip(names, (*names[1:], names[0]), strict=True):
        above = Run(file_of(runs, following).parent)
        record = {**json.loads(file_of(runs, name).read_text()), "stage": name}
        entry = {"path": f"../{above.folder.name}", "hash": above.weights_hash(above.trained_part)}
        contents[name] = json.dumps({**record, "parents": {following: entry}})
    content = contents.pop("projector")
    code, line = broken("generate", "projector", content, contents)
    assert code and ("without a" in line or "circle" in line), line
