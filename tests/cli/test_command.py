"""The command itself: help, version, free text, exit codes, and what happens on Ctrl-C."""

import importlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lead
from lead.cli.config import PATHS, SENTENCES, compose
from lead.cli.main import KINDS, MODULES, VERBS, main
from lead.cli.paths import config_folder

HEAVY = {"torch", "hydra", "omegaconf", "numpy", "transformers", "pytorch_lightning", "matplotlib"}
HEAVY |= {"fastapi", "starlette", "uvicorn"}

TEXTS = (
    "a person walks, turns, and waves",
    "it's a person's walk",
    'a "person" walks',
    "a person (slowly) walks",
    "a person walks [twice]",
    "[a person] walks",
    "{walk}",
    "text=walk, speed = 3",
    "a\\b \\' \\\\ c\\",
    "a person walks to ${HOME} for $5",
    "a person walks ${oc.env:HOME}",
    "人が歩く, jalan kaki, идёт 🚶",
    "a person walks # slowly",
    "null and void",
    "true",
    "  spaces around  ",
    "one\ntwo",
    "100%",
    "~",
    "1,2,3",
    "'quoted'",
    "a: b",
    "@x /y *z !w",
)


@pytest.fixture(scope="module")
def environment(repository) -> dict[str, str]:
    """For commands in other folders, where lead may not be installed."""
    return {**os.environ, "PYTHONPATH": str(repository)}


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: lead VERB")
    for verb, meaning in VERBS.items():
        assert f"  {verb} " in out
        assert meaning in out
    assert "lead VERB --help" in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("word", ["-h", "help"])
def test_other_words_for_help(capsys, word):
    main(["--help"])
    wanted = capsys.readouterr().out
    assert main([word]) == 0
    assert capsys.readouterr().out == wanted


def test_without_a_verb_it_helps_and_fails(capsys):
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("usage: lead VERB")


def test_version_and_revision(capsys, repository):
    assert main(["--version"]) == 0
    version, _, revision = capsys.readouterr().out.strip().partition(" ")
    assert version == lead.__version__
    if (repository / ".git").exists():
        head = ["git", "-C", repository, "rev-parse", "HEAD"]
        told = subprocess.run(head, capture_output=True, text=True, check=True).stdout
        assert told.startswith(revision.strip("()+")) and len(revision) > 6


def test_windows_is_told_where_lead_runs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["prepare"]) == 2
    assert capsys.readouterr().err == (
        "lead: lead runs on Linux and macOS; on Windows in WSL 2: wsl --install\n"
    )
    assert main(["--help"]) == 0


def test_an_unknown_verb_is_refused_with_a_guess(capsys):
    assert main(["trian"]) == 2
    assert capsys.readouterr().err == "lead: unknown verb 'trian': did you mean 'train'?\n"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("words", [["--help"], ["-h"], ["seed=3", "--help"]], ids=str)
def test_help_of_a_verb(capsys, verb, words):
    assert main([verb, *words]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"lead {verb} ")
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_names_options_that_exist(verb):
    words = importlib.import_module(f"lead.cli.{MODULES.get(verb, verb)}").__doc__.split()
    named = {word.partition("=")[0] for word in words if "=" in word and word[0].islower()}
    values = compose(verb, ())
    for kind in KINDS.get(verb, ()):
        values |= compose(f"{verb}_{kind}", ())
    groups = {"data", "size", "text_encoder", "sampling", "stage", "protocol", "study"}
    for name in named - {"key"}:
        top = name.partition(".")[0]
        assert top in values or top in groups, name
    assert named


@pytest.mark.parametrize(
    ("words", "group"),
    [("train --help", "size"), ("train --help", "stage"), ("train -m --help", "experiment")],
)
def test_help_names_every_entry_of_a_group(capsys, words, group):
    assert main(words.split()) == 0
    named = set(re.findall(r"[a-z]\w*", capsys.readouterr().out))
    assert {path.stem for path in (config_folder() / group).glob("*.yaml")} <= named


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([v, "--help"] for v in VERBS)])
def test_help_loads_no_heavy_library(words, environment):
    code = f"""import sys
from lead.cli.main import main
main({words!r})
print('loaded', sorted({HEAVY!r} & set(sys.modules)))"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "loaded []"


def test_the_console_script_and_the_module_return_the_exit_code(tmp_path, environment):
    script = "from lead.cli.main import main; raise SystemExit(main())"
    for command in (["-m", "lead.cli.main"], ["-c", script]):
        result = subprocess.run(
            [sys.executable, *command, "prepare", "data=bvh"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            check=False,
        )
        assert result.returncode == 2
        assert result.stderr == (
            "lead: data=bvh needs source=DIR: the folder that holds the collection\n"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_reaches_the_program_unchanged(text):
    assert compose("generate", [f"text={text}"])["text"] == text


@pytest.mark.parametrize("key", [key for key in PATHS if "." not in key])
@pytest.mark.parametrize("path", ["a=b/c d", "it's/a,b", "[x]/{y}", "C:\\new\\(1)", "ü/${z}"])
def test_a_path_reaches_the_program_unchanged(key, path):
    verb = next(verb for verb in (*VERBS, "sweep") if key in compose(verb, ()))
    assert compose(verb, [f"{key}={path}"])[key] == path


def test_free_options_inside_groups_reach_the_program_unchanged():
    words = ["data=bvh", "data.template=it's {stem}, isn't it?", "data.captions=a,b=[c].csv"]
    data = compose("prepare", words)["data"]
    assert (data["template"], data["captions"]) == ("it's {stem}, isn't it?", "a,b=[c].csv")


def test_a_path_may_start_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/walker")
    assert compose("generate", ["run=~/runs/a"])["run"] == "/home/walker/runs/a"
    assert compose("generate", ["text=~/runs/a"])["text"] == "~/runs/a"


def test_null_leaves_a_free_option_out():
    assert compose("generate", ["text=a", "text=null", "run=null"])["text"] is None


def test_every_free_option_exists():
    known = set()
    for verb in (*VERBS, "sweep"):
        for data in ("bvh", "bandai_namco") if verb in ("prepare", "train") else ("",):
            config = compose(verb, [f"data={data}"] if data else [])
            known |= set(config) | {f"data.{key}" for key in config.get("data", {})}
            known |= {f"text_encoder.{key}" for key in config.get("text_encoder", {})}
    assert {"text_encoder.path", *PATHS, *SENTENCES} - known <= {"text_encoder.path"}


def test_the_last_of_two_values_counts():
    config = compose("train", ["seed=1", "size=small", "seed=2", "size=tiny"])
    assert (config["seed"], config["size_name"]) == (2, "tiny")


def test_whole_numbers_may_be_written_as_powers():
    steps = compose("train", ["trainer.max_steps=2e3"])["trainer"]["max_steps"]
    assert (steps, type(steps)) == (2000, int)


@pytest.mark.parametrize("group", ["data", "size", "sampling", "stage", "text_encoder"])
def test_every_choice_of_every_group_composes(group):
    verb = {"data": "prepare", "sampling": "generate"}.get(group, "train")
    choices = sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))
    assert choices
    for choice in choices:
        compose(verb, [f"{group}={choice}"])


def test_a_message_of_several_lines_becomes_one(monkeypatch, capsys):
    from lead.core.errors import WorkError

    def fail(_arguments):
        raise WorkError("first\nsecond\r\nthird")

    monkeypatch.setattr("lead.cli.main._dispatch", fail)
    assert main(["train"]) == 1
    assert capsys.readouterr().err == "lead: first second third\n"


def test_a_full_disk_is_one_line(monkeypatch, capsys):
    def fail(_arguments):
        raise OSError(28, "No space left on device", "outputs/a.gif")

    monkeypatch.setattr("lead.cli.main._dispatch", fail)
    assert main(["generate"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("lead: outputs/a.gif: No space left on device: ")
    assert len(err.splitlines()) == 1


def test_a_defect_of_our_own_is_not_hidden(monkeypatch):
    def fail(_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("lead.cli.main._dispatch", fail)
    with pytest.raises(ZeroDivisionError):
        main(["generate"])


def test_an_interrupt_is_one_line_and_130(monkeypatch, capsys):
    def fail(_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("lead.cli.main._dispatch", fail)
    assert main(["generate"]) == 130
    assert capsys.readouterr().err == "lead: interrupted\n"


def default_interrupt() -> None:
    """A shell lets its background jobs, such as a test run, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the workers in /proc")
@pytest.mark.parametrize(
    ("end", "number", "code", "line"),
    [
        (os.killpg, signal.SIGINT, 130, "lead: interrupted\n"),  # as a terminal does
        (os.kill, signal.SIGTERM, 143, ""),
    ],
    ids=["ctrl-c", "sigterm"],
)
def test_stopped_while_preparing_it_leaves_nothing(
    tmp_path, tmp_path_factory, environment, world, end, number, code, line
):
    motions = tmp_path_factory.mktemp("motions")
    first = world.figure("walk.bvh", 600).replace(motions / "walk_0.bvh")
    for copy in range(1, 2000):
        os.link(first, motions / f"walk_{copy}.bvh")
    process = subprocess.Popen(
        [sys.executable, "-m", "lead.cli.main", "prepare", "data=bvh", f"source={motions}"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=default_interrupt,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers: list[str] = []
    while process.poll() is None and len(workers) < 2:
        workers = children.read_text(encoding="utf-8").split()
        time.sleep(0.02)
    time.sleep(0.5)  # Python loses a Ctrl-C that comes while it forks
    end(process.pid, number)
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (code, line)
    assert not list(tmp_path.rglob("*"))
    assert len(workers) == 2 and not any(Path("/proc", worker).exists() for worker in workers)
