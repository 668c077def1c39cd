"""lead demo [run=RUN] [key=value ...] : a web page on this machine that turns text into motion.

run=RUN          a diffusion run (MLD) or a projector run (LEAD); default: the starter model,
                 checkpoints/starter or $LEAD_STARTER
projector=RUN    a projector to use with a diffusion run
diffusion=RUN    a denoiser to use with a projector that was trained on a VAE alone
words=[A,B]      files of learned words (`lead invert`) to offer; default: the run's own words/
port=7860        0 takes any port that is free
host=127.0.0.1   0.0.0.0 lets other machines in: there is no password
names=[HOST]     further names that browsers may call the page by
upload_mb=10     largest BVH file that may be uploaded
waiting=8 kept=20   requests in line, and results that can still be downloaded
sampling=S sampling.KEY=V   what the page begins with, as for `lead generate`
inversion=I inversion.KEY=V   how an uploaded motion becomes a word, as for `lead invert`
device=auto      cpu | cuda

Bridges call POST /generate: docs/demo.md. Ctrl-C stops it and removes its temporary files.
"""

import math
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import compose
from lead.cli.loading import compose_for_run
from lead.core.errors import RequestError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SECONDS = 4.0  # of a clip, where the model can


def run(overrides: Sequence[str]) -> int:
    """Serve the page until Ctrl-C."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with tempfile.TemporaryDirectory(prefix="lead-demo-") as folder:
            _serve(make_server(overrides, Path(folder)))
    except KeyboardInterrupt:
        print("lead demo: stopped")
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _check(config: dict) -> None:
    """RequestError for values that no server could use."""
    for key in ("waiting", "kept"):
        if config[key] < 1:
            raise RequestError(f"{key} must be at least 1, got {config[key]}")
    if not 0 < config["upload_mb"] <= 1000:
        raise RequestError(f"upload_mb must be above 0, up to 1000, got {config['upload_mb']}")
    if not 0 <= config["port"] < 2**16:
        raise RequestError(f"port must be from 0 to 65535, got {config['port']}")


def make_server(overrides: Sequence[str], folder: Path):
    """The server that the options ask for, with its model loaded; it keeps its files in ``folder``.

    Raises RequestError where the options, the run or the port cannot be used.
    """
    config = compose_for_run("demo", overrides)
    _check(config)
    from lead.cli.demo_page.server import DemoServer, check_address

    check_address(config["host"], config["port"])
    studio = _studio(config, overrides, folder)
    return DemoServer(studio, _defaults(studio), _settings(config))


def _studio(config: dict, overrides: Sequence[str], folder: Path):
    """The model with its words; those in the run's own folder where none are named."""
    from lead.cli.demo_page.studio import Studio
    from lead.cli.loading import choose_device, load_text_to_motion, make_sampling, split_list
    from lead.inversion import read_word

    files = split_list(config["words"])
    if config["words"] is None and config["run"] is not None:
        files = sorted((Path(config["run"]) / "words").glob("*.safetensors"))
    words = [read_word(path) for path in files]
    print("loading the model", flush=True)
    pipeline = load_text_to_motion(config).to(choose_device(config["device"]))
    recipe = _recipe(overrides, projector=pipeline.projector is not None)
    name = Path(config["run"]).resolve().name
    return Studio(pipeline, make_sampling(config), name, words, recipe, folder)


def _defaults(studio):
    """What a request asks for where it says nothing."""
    from lead.cli.demo_page.forms import ClipForm

    sampling, limits = studio.sampling, studio.limits
    shortest, longest = limits.seconds
    return ClipForm(
        text="",
        seconds=min(max(SECONDS, math.ceil(shortest * 10) / 10), longest),
        guidance=sampling.guidance_scale,
        steps=sampling.steps if sampling.timesteps is None else len(sampling.timesteps),
        projector="on" if limits.projector else "off",
    )


def _settings(config: dict):
    """Where the server listens and what it takes."""
    from lead.cli.demo_page.server import Settings

    return Settings(
        host=config["host"],
        port=config["port"],
        names=tuple(name.lower() for name in config["names"]),
        upload_bytes=round(config["upload_mb"] * 1e6),
        waiting=config["waiting"],
        kept=config["kept"],
        examples=tuple(config["examples"]),
        licence=_licence(Path(config["run"])),
    )


def _licence(folder: Path) -> str:
    """Under which licence the data of a run stand, where it is known."""
    from lead.core.runs import Run

    return Run(folder).record.dataset.licence


def _recipe(overrides: Sequence[str], *, projector: bool):
    """How uploads become words; without a projector, by MLD's objective unless one is chosen."""
    from lead.cli.demo_page.studio import Recipe
    from lead.core.building import build

    chosen = any(word.startswith("inversion=") for word in overrides)
    words = [*overrides] if chosen or projector else [*overrides, "inversion=mld"]
    options = build("inversion", compose("demo", words)["inversion"])
    sentences = {
        means: tuple(compose("invert", [f"templates={name}"])["templates"]["sentences"])
        for means, name in (("manner", "style"), ("motion", "paper"))
    }
    return Recipe(options, sentences)


def _serve(server) -> None:
    host = server.settings.host
    print(f"{server.studio.run}: open {server.url} in a browser; Ctrl-C stops", flush=True)
    if host not in LOOPBACK:
        print(f"listening on {host}: whoever reaches it can use it, there is no password")
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        server.close()
