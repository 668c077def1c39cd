"""Whatever is typed after a verb is answered by work or by one line, before any computing."""

import math
import os
import warnings

import pytest

from lead.cli import sweep_words
from lead.cli.config import DEEPEST, compose
from lead.cli.main import KINDS, VERBS
from lead.cli.sweep_words import JOBS_MOST, expand
from lead.cli.values import EVERYWHERE, LARGEST, OWN, Takes, read_number, takes
from lead.core.errors import LINE_MOST, RequestError
from lead.core.reading import SENTENCE_CHARACTERS


def found(name: str) -> tuple[str, str, list[str]]:
    """A verb that has an option of the tables, the option's key there, and the groups needed."""
    verb, _, key = name.rpartition(" ")
    places = [(verb, [])] if verb else [(of, []) for of in (*VERBS, "sweep")]
    places += [(f"report_{kind}", []) for kind in KINDS["report"]]
    places += [
        ("prepare", ["data=bvh"]),
        ("prepare", ["data=bandai_namco"]),
        ("evaluate", ["protocol=open"]),
        ("generate", ["sampling=euler16"]),
    ]
    places += [("evaluate", ["study=table3"]), ("sweep", ["launcher=submitit"])]
    for of, groups in places:
        keys = dict(flat(compose(of, groups)))
        if key in keys:
            return of, key, groups
        if name in EVERYWHERE:
            inner = [whole for whole in keys if whole.rpartition(".")[2] == key]
            if inner:
                return of, inner[0], groups
    raise AssertionError(f"no verb has the option {name}")


def flat(values: dict, prefix: str = "") -> list[tuple[str, object]]:
    return [
        pair
        for key, value in values.items()
        for pair in (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
        )
    ]


TABLES = {**EVERYWHERE, **OWN}
NUMBERS = {name: of for name, of in TABLES.items() if of.kind in (int, float)}


@pytest.mark.parametrize("name", TABLES)
def test_every_entry_of_the_tables_belongs_to_an_option(name):
    verb, key, _ = found(name)
    assert takes(verb, key, "whatever its default") is TABLES[name]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_outside_its_range_is_told_with_the_range(name):
    verb, key, groups = found(name)
    of = NUMBERS[name]
    step = 1 if of.kind is int else 1e-9 * max(1.0, abs(of.high))
    for outside in (of.low if of.above else of.low - step, of.high + step, -1e30, 1e30):
        with pytest.raises(RequestError) as told:
            compose(verb, [*groups, f"{key}={outside}"])
        line = str(told.value)
        assert line.startswith(f"{key} takes ") and str(of.low) in line and str(of.high) in line
    for inside in (of.high, of.low if not of.above else of.high / 2):
        assert of.read(key, inside) == inside


ANY_NUMBER = ["nan", "inf", "-inf", "1e999", "9" * 400, "9" * 5000, "-1e300", "1e300"]


@pytest.mark.parametrize("value", ANY_NUMBER, ids=lambda value: value[:6])
@pytest.mark.parametrize(
    ("verb", "key"),
    [("train", "seed"), ("train", "stages.vae.optimizer.lr"), ("export", "scale")]
    + [("generate", "sampling.guidance_scale"), ("evaluate", "clips"), ("invert", "examples")],
)
def test_no_option_takes_a_number_that_is_none_or_without_end(verb, key, value):
    with pytest.raises(RequestError, match=key):
        compose(verb, [f"{key}={value}"])


def test_numbers_of_files_have_the_range_of_the_option():
    assert read_number("seconds", " 2.5 ", "a.txt:1: length") == 2.5
    for text in ("0", "-3", "nan", "inf", "1e5", "soon", "", "9" * 5000):
        with pytest.raises(RequestError, match=r"^a.txt:1: length takes "):
            read_number("seconds", text, "a.txt:1: length")


@pytest.mark.parametrize(
    ("of", "value"),
    [
        (Takes(int), True),
        (Takes(int), 10**400),
        (Takes(float), -(10**400)),
        (Takes(bool), 1),
        (Takes(str), None),
        (Takes(str), [1]),
        (Takes(str), math.nan),
        (Takes(list, each=Takes(str)), "a"),
        (Takes(list, each=Takes(str)), [["a"]]),
        (Takes(list, each=Takes(int, 0, 3)), [1, 4]),
        (Takes(list, each=Takes(int)), {"a": 1}),
        (Takes(str, words=("a", "b")), "c"),
    ],
    ids=str,
)
def test_other_types_are_told(of, value):
    with pytest.raises(RequestError, match=r"^(key takes |unknown key )"):
        of.read("key", value)


# What is typed


TYPED = {
    "a zero byte": ("\0", "without NUL"),
    "bytes that are not UTF-8": ("caf\udce9", "UTF-8"),
    "too many characters": ("x" * (SENTENCE_CHARACTERS + 1), f"{SENTENCE_CHARACTERS} are the most"),
}


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("where", ["{}", "text={}", "run={}", "run=[{}]", "seed={}"])
@pytest.mark.parametrize("verb", ["generate", "export", "report"])
def test_what_no_file_could_hold_is_refused_wherever_it_stands(world, refused, verb, where, typed):
    text, message = TYPED[typed]
    assert message in refused([verb, where.format(text)])


def test_the_verb_itself_may_be_anything(world, refused):
    for text, message in TYPED.values():
        assert message in refused([text])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[" * 100_000, "characters"),
        ("[" * 5000, f"brackets stand {DEEPEST} deep at most"),
        ("{a:" * 200 + "1" + "}" * 200, "brackets stand"),
        ("(" * 50, "brackets stand"),
        ("[gif", "close its brackets"),
        ("[gif]]", "close its brackets"),
        ("'gif", "close its brackets"),
        ("[" + "9" * 5000 + "]", "cannot read the value of formats"),
        ("${oc.env:HOME}", "as it is written"),
        ("[${.}]", "as it is written"),
        ("[${formats}]", "as it is written"),
        ("{1:2}", "a list of words"),
        ("[[gif]]", "a list of words"),
        ("[nan]", "a list of words"),
        ("range(0,3)", "several values"),
        ("interval(0,1)", "several values"),
        ("glob(*)", "several values"),
        ("shuffle(gif,png)", "several values"),
        ("sort(a,1)", "cannot read"),
        ("int(1e999)", "cannot read"),
        ("???", "a list of words"),
    ],
    ids=lambda value: value[:12],
)
def test_values_that_the_grammar_does_not_hold(world, refused, value, message):
    assert message in refused(["generate", "text=a", f"formats={value}"])


def test_nothing_typed_reads_the_environment(monkeypatch):
    monkeypatch.setenv("SECRET", "hidden")
    for key in ("device", "split", "sampling.sampler", "control.moments.title"):
        with pytest.raises(RequestError, match=key):
            compose("evaluate", [f"{key}=${{oc.env:SECRET}}"])
    for key in ("run", "sentences"):
        assert compose("evaluate", [f"{key}=${{oc.env:SECRET}}"])[key] == "${oc.env:SECRET}"


@pytest.mark.parametrize(
    "word",
    ["+x=1", "++seed=1", "~seed", "x@y=1", "seed", "=", "-x", "--", "../seed=1", "a..b=1", "x " * 9]
    + ["a" * 300 + "=1", "hydra.run.dir=x", "seed.x=1", "trainer.=1"],
)
def test_words_that_are_no_options(world, refused, word):
    line = refused(["train", word])
    assert "is not an option" in line or "unknown option" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=range(0,1000000000)"], f"make more than {JOBS_MOST} jobs"),
        (["seed=range(0,inf)"], f"make more than {JOBS_MOST} jobs"),
        (["seed=shuffle(range(0,1000000000))"], f"make more than {JOBS_MOST} jobs"),
        (["seed=sort(range(0,1000000000),reverse=true)"], f"make more than {JOBS_MOST} jobs"),
        (["seed=range(0,1,1e-300)"], f"make more than {JOBS_MOST} jobs"),
        (["evaluate.seed=range(1000000000)"], f"make more than {JOBS_MOST} jobs"),
        (["seed=range(0,40)", "size=tiny", "trainer.threads=range(0,40)"], "40 x 40 make more"),
        ([f"model.vae.a{n}=1,2,3,4,5,6,7,8,9" for n in range(40)], "make more than"),
        (["seed=range(0,9,0)"], "gives no value"),
        (["seed=range(nan)"], "gives no value"),
        (["seed=range(5,1)"], "gives no value"),
        (["size=glob(zz*)"], "gives no value"),
        (["seed=glob(*)"], "gives no value"),
        (["seed=interval(0,1)"], "has no end of values"),
        (["seed=choice()"], "cannot read the value of seed"),
        (["/etc=glob(*)"], "is not an option"),
        (["x@y=1,2"], "is not an option"),
        (["seed=1,nan"], "seed takes a whole number, got nan"),
        (["seed=1,-2"], "seed takes a whole number from 0"),
        (["seed=1,2", "sweep=" + "x" * 5000], "cannot write"),
    ],
    ids=lambda value: value[0][:30] if isinstance(value, list) else "",
)
def test_sweeps_are_counted_before_they_unfold(world, refused, words, message):
    assert message in refused(["train", "-m", "stage=vae", *words])


def test_no_more_values_are_made_than_are_taken(monkeypatch):
    """A range of a thousand million values gives up after one more than a sweep may have."""
    made = []
    monkeypatch.setattr(sweep_words, "islice", lambda of, most: made.append(most) or [0] * most)
    with pytest.raises(RequestError, match="jobs"):
        expand("train", ["seed=range(0,1000000000)"], None)
    assert made == [JOBS_MOST + 1]


def test_as_many_jobs_as_are_taken():
    assert len(expand("train", [f"seed=range(0,{JOBS_MOST})"], None)) == JOBS_MOST
    shuffled = expand("train", ["seed=shuffle(range(0,9))"], None)
    assert sorted(job.labels["seed"] for job in shuffled) == sorted(map(str, range(9)))


# Files that options name


CONTENTS = {
    "latin-1": "a p\xe9rson walks\n".encode("latin-1"),
    "zero bytes": b"content\tstyle\tseconds\tsentence\nwalk\tx\t3\ta\0b\n",
    "many lines": b"a\n" * 110_000,
    "one long line": b"a" * 20_000,
}


def special(folder, kind: str):
    """A path at which nothing can be read: no file, one that never ends, one of wrong content."""
    path = folder / ("x" * 5000 if kind == "long name" else kind)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind in ("loop", "endless"):
        path.symlink_to(path if kind == "loop" else "/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "sparse":
        with path.open("wb") as stream:
            stream.truncate(5 << 30)
    elif kind in CONTENTS:
        path.write_bytes(CONTENTS[kind])
    return path


UNREADABLE = ["fifo", "loop", "folder", "endless", "sparse", "nothing", "long name"]


@pytest.mark.parametrize("kind", [*UNREADABLE, *CONTENTS])
@pytest.mark.parametrize("key", ["prompts", "sentences"])
def test_a_table_of_sentences_is_a_file_of_some_size(world, refused, key, kind):
    path = special(world.here, kind)
    if key == "prompts":
        words = world.generate(prompts=path)
    else:
        data = ["split=train", f"dataset={world.data}", "classifier=x", "output=m.json"]
        words = ["evaluate", f"run={world.run('projector')}", *data, f"sentences={path}"]
    assert path.name[:20] in refused(words)


OUTPUTS = {
    "generate": lambda w: w.generate(),
    "train": lambda w: [word for word in w.train("vae") if not word.startswith("run=")],
    "prepare": lambda w: ["prepare", "data=cmu_open", "data.clips=4", "workers=1"],
    "inspect": lambda w: ["prepare", "data=cmu_open", "data.clips=4", "inspect=true"],
    "export": lambda w: ["export", str(w.motion), "format=bvh"],
    "evaluate": lambda w: ["evaluate", f"run={w.run('vae')}", f"dataset={w.data}", "split=train"],
    "curves": lambda w: ["report", "curves", str(w.run("vae"))],
    "report": lambda w: ["report", "1"],
    "study": lambda w: ["report", "study", str(w.run("projector")), f"dataset={w.data}"],
    "bench": lambda w: ["bench", "linear"],
}


@pytest.mark.parametrize("kind", ["fifo", "loop", "long name", "deep name"])
@pytest.mark.parametrize("verb", OUTPUTS)
def test_an_output_that_cannot_be_one_is_told_at_once(world, refused, verb, kind):
    name = "out.png" if verb == "curves" else "out"
    path = place = world.here / name
    if verb == "inspect":
        place = world.here / "out.inspect.png"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "loop":
        place.symlink_to(place)
    else:
        path = world.here / ("x/" * 3000 + name if kind == "deep name" else "x" * 300 + name)
    words = [*OUTPUTS[verb](world), f"{'run' if verb == 'train' else 'output'}={path}"]
    line = refused(words)
    assert "name" in line
    assert not [file for file in world.here.rglob("*") if file.is_file()]


def test_more_processes_than_cores_are_refused(world, refused, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert "there are 3 cores" in refused(world.train("vae", trainer__devices=4))
    judged = ["protocol=open", f"evaluator={world.here}", "devices=4"]
    assert "there are 3 cores" in refused(["evaluate", f"run={world.run('vae')}", *judged])


def test_nobody_waits_for_machines_that_nothing_starts(world, refused, monkeypatch):
    for name in ("WORLD_SIZE", "MASTER_ADDR", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    assert "use torchrun or Slurm" in refused(world.train("vae", trainer__num_nodes=2))


# Numbers that only a run can judge


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sampling.steps=1001"], "1..1000"),
        (["sampling.timesteps=[1000]"], "0..999"),
        (["sampling.sampler=lcm"], "distilled"),
        (["seconds=3600"], "outside what was trained"),
    ],
    ids=str,
)
def test_a_generation_is_judged_as_a_whole_before_it_begins(
    world, refused, monkeypatch, words, message
):
    def computed(*_args, **_options):
        raise AssertionError("something was computed")

    from lead.generation.lead_model import LeadModel

    monkeypatch.setattr(LeadModel, "sample", computed)
    prompts = world.file("prompts.txt", "a person walks # 3\na person runs\n")
    assert message in refused([*world.generate(prompts=prompts), *words])


# Training curves


LOGS = {
    "a step of 27 digits": "step,name,value\n99999999999999999999999999,loss,1\n",
    "a step of 5,000 digits": f"step,name,value\n{'9' * 5000},loss,1\n",
    "a negative step": "step,name,value\n-1,loss,1\n",
    "half a step": "step,name,value\n1.5,loss,1\n",
    "two columns": "step,name,value\n1,loss\n",
    "four columns": "step,name,value\n1,loss,1,1\n",
    "words": "step,name,value\n1,loss,low\n",
    "a zero byte": "step,name,value\n1,lo\0ss,1\n",
    "a huge field": f"step,name,value\n1,{'x' * 200_000},1\n",
    "an open quote": 'step,name,value\n1,"loss,1\n',
    "too many curves": "step,name,value\n" + "".join(f"1,a{n},1\n" for n in range(100)),
    "nothing": "",
    "a header alone": "step,name,value\n",
}


NO_VALUES = [name for name in LOGS if "step" in name] + ["two columns", "words", "a zero byte"]


@pytest.mark.parametrize("log", LOGS)
def test_a_log_that_no_training_wrote_is_told(world, refused, log):
    world.file("run/metrics.csv", LOGS[log])
    assert "run/metrics.csv" in refused(["report", "curves", "run"], 1 if log in NO_VALUES else 2)


@pytest.mark.parametrize("kind", ["fifo", "endless", "sparse", "folder"])
def test_a_log_is_a_regular_file(world, refused, kind):
    (world.here / "run").mkdir()
    special(world.here / "run", kind).rename(world.here / "run" / "metrics.csv")
    assert "metrics.csv" in refused(["report", "curves", "run"])


VALUES = ["nan", "inf", "-1", "0", "1e-300", "3e38", "-1e308"]


@pytest.mark.parametrize("values", [*zip(VALUES, VALUES[1:] + VALUES[:1], strict=True)], ids=str)
def test_any_value_is_drawn_without_a_warning(tmp_path, values):
    from lead.evaluation.report.curves import read_curves, write_curves

    lines = [f"{10**12 * place},{kind}/loss,{v}" for place, v in enumerate(values) for kind in "ab"]
    (tmp_path / "metrics.csv").write_text("\n".join(["step,name,value", *lines]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_curves(tmp_path / "curves.png", {"run": read_curves(tmp_path)}, ["loss"])
    assert (tmp_path / "curves.png").stat().st_size > 1000


# Every line


@pytest.mark.parametrize("word", ["{}=1", "seed={}", "size={}", "runs=[{}]", "run={}", "{}"])
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "demo"])
def test_a_line_about_something_long_is_short(world, refused, verb, word):
    for long in ("y" * 9000, "y " * 4500, "y/" * 4500):
        assert len(refused([verb, word.format(long), "no=such option"])) <= LINE_MOST


def test_the_largest_number_is_larger_than_any_default():
    for verb in (*VERBS, "sweep"):
        for key, value in flat(compose(verb, [])):
            if isinstance(value, int | float) and not key.endswith("seed"):
                assert abs(value) < LARGEST
