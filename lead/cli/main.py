"""``lead VERB key=value ...``: the console script. Heavy libraries load only where a verb works."""

import importlib
import os
import sys
from collections.abc import Sequence

from lead.core.errors import LeadError, RequestError, did_you_mean, one_line
from lead.core.reading import plain_text

VERBS = {
    "prepare": "a data source -> a packed dataset",
    "train": "one stage on a prepared dataset -> a run directory",
    "generate": "text -> motion files",
    "caption": "motions -> sentences",
    "invert": "motions -> a word that `lead generate` understands",
    "evaluate": "a run -> measurements",
    "import": "a checkpoint of MLD, MotionLCM or the T2M evaluator -> run directories",
    "export": "motion files -> gif | webp | mp4 | png | npz | bvh | glb | html",
    "report": "measured rows beside the paper's tables, and a plot",
    "bench": "speed, beside the floor of this machine and plain code",
    "demo": "a web page on this machine: text -> motion, and a JSON endpoint for other programs",
}

MODULES = {"import": "import_checkpoint"}
"""Modules of lead.cli that do not have the name of their verb: no module can be called import."""

KINDS = {"report": ("latents", "curves", "attention", "study")}
"""Verbs of two words. ``lead report latents`` has its own module and options, report_latents."""

USAGE = """\
usage: lead VERB [key=value ...]

{verbs}

Options are Hydra overrides, for example
  lead prepare data=cmu_open
  lead train stage=vae data=cmu_open size=tiny
  lead generate run=checkpoints/RUN text="a person walks in a circle" seconds=4
`lead VERB --help` shows a verb's options. `lead VERB -m key=A,B ...` runs a job for every
combination of values, here or on a Slurm cluster: `lead VERB -m --help`.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code (0 done, 1 the work failed, 2 the request was wrong)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if hasattr(sys.stdout, "reconfigure"):  # names of files are printed as they are, UTF-8 or not
        sys.stdout.reconfigure(errors="surrogateescape")
    os.environ["PYTHONSAFEPATH"] = "1"  # -P for whatever other libraries start
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()  # here a full disk is told in one line
        return code
    except LeadError as error:
        print(f"lead: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("lead: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _print_no_more()
        return 1
    except MemoryError:
        print("lead: there is not enough memory for this: ask for less at once", file=sys.stderr)
        return 1
    except OSError as error:
        if os.environ.get("LEAD_TRACEBACK"):
            raise
        print(f"lead: {one_line(_os_error(error))}", file=sys.stderr)
        _print_no_more()
        return 1


def _print_no_more() -> None:
    """Leave nothing for Python to write when it ends where nothing can be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        width = max(map(len, VERBS))
        lines = "\n".join(f"  {verb:{width}}  {text}" for verb, text in VERBS.items())
        print(USAGE.format(verbs=lines), end="")
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from lead import __version__
        from lead.core.revision import revision

        known = revision()
        print(f"{__version__} ({known})" if known else __version__)
        return 0
    if sys.platform == "win32":
        raise RequestError("lead runs on Linux and macOS; on Windows in WSL 2: wsl --install")
    for word in arguments:
        key, _, value = word.partition("=")
        plain_text(f"{key:.60}", value or key)
    verb, *overrides = arguments
    if verb not in VERBS:
        raise RequestError(f"unknown verb '{verb}': {did_you_mean(verb, VERBS)}")
    if any(word in ("-m", "--multirun") for word in overrides):
        return _sweep(verb, overrides)
    if named := [word for word in overrides if word.startswith("experiment=")]:
        raise RequestError(f"{named[0]} stands for many jobs: say `lead {verb} -m {named[0]}`")
    if overrides and overrides[0] in KINDS.get(verb, ()):
        kind, *overrides = overrides
        verb = f"{verb}_{kind}"
    module = importlib.import_module(f"lead.cli.{MODULES.get(verb, verb)}")
    if any(word in ("--help", "-h") for word in overrides):
        print(module.__doc__.strip())
        return 0
    return module.run(overrides)


def _sweep(verb: str, overrides: list[str]) -> int:
    from lead.cli import sweep

    if any(word in ("--help", "-h") for word in overrides):
        print(sweep.__doc__.strip())
        return 0
    return sweep.run(verb, [word for word in overrides if word not in sweep.FLAGS])


def _os_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}: check the path, its rights and the space on the disk"


if __name__ == "__main__":
    if not sys.flags.safe_path:
        sys.path.pop(0)  # the working folder, which `python -m` puts there
    sys.exit(main())
