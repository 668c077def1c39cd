"""lead demo [run=RUN] [key=value ...] : a web page on this machine that turns text into motion.

run=RUN          a diffusion run (MLD), a projector run (LEAD) or a flow (MLA-Gen); default: the
                 starter model, checkpoints/starter or $LEAD_STARTER
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

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lead.cli.config import compose
from lead.cli.loading import compose_for_run, request
from lead.core.claims import scratch_folder
from lead.core.errors import RequestError
from lead.core.files import split_list
from lead.core.stopping import ended_in_order

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def run(overrides: Sequence[str]) -> int:
    """Serve the page until Ctrl-C, SIGTERM or SIGHUP."""
    try:
        with (
            ended_in_order(),
            scratch_folder("demo") as folder,
            make_server(overrides, folder) as server,
        ):
            _say_where(server)
            server.wait()
    except (KeyboardInterrupt, SystemExit):
        with suppress(OSError):  # the terminal may be gone
            print("lead demo: stopped", flush=True)
        if threading.active_count() > 1:  # at work in torch, which would be torn down under it
            os._exit(0)
    return 0


def _say_where(server) -> None:
    host = server.settings.host
    print(f"{server.studio.run}: open {server.url} in a browser; Ctrl-C stops", flush=True)
    if host not in LOOPBACK:
        print(f"listening on {host}: whoever reaches it can use it, there is no password")


def make_server(overrides: Sequence[str], folder: Path):
    """The server that the options ask for, with its model loaded; it keeps its files in ``folder``.

    Raises RequestError where the options, the run or the port cannot be used.
    """
    config = compose_for_run("demo", overrides)
    from lead.core.runs import Run
    from lead.core.schema import check
    from lead.service.forms import Settings
    from lead.service.server import DemoServer, listen

    values = {name: config[name] for name in Settings.model_fields if name in config}
    advice = "see `lead demo --help`"
    settings = check(Settings, values, "lead demo", advice, error=RequestError)
    listener = listen(settings.host, settings.port)
    try:
        studio = _studio(config, overrides, folder)
        licence = Run(Path(config["run"])).record.dataset.licence
        return DemoServer(listener, studio, settings.model_copy(update={"licence": licence}))
    except BaseException:
        listener.close()
        raise


def _studio(config: dict, overrides: Sequence[str], folder: Path):
    """The model with its words; those in the run's own folder where none are named."""
    from lead.core.devices import choose_device
    from lead.generation.loading import ModelRequest, load_named, with_words
    from lead.inversion import read_word
    from lead.service.studio import Studio

    files = split_list(config["words"])
    if config["words"] is None and config["run"] is not None:
        files = sorted((Path(config["run"]) / "words").glob("*.safetensors"))
    words = [read_word(path) for path in files]
    print("loading the model", flush=True)
    asked = request(ModelRequest, config)
    model = load_named(asked).to(choose_device(asked.device))
    recipe = _recipe(overrides, projector=model.can("project"))
    name = Path(config["run"]).resolve().name
    model.check_sampling(asked.sampling)
    known = with_words(model, words)
    return Studio(known, asked.sampling, name, words, recipe, folder)


def _recipe(overrides: Sequence[str], *, projector: bool):
    """How uploads become words; without a projector, by MLD's objective unless one is chosen."""
    from lead.core.building import build
    from lead.service.studio import Recipe

    chosen = any(word.startswith("inversion=") for word in overrides)
    words = [*overrides] if chosen or projector else [*overrides, "inversion=mld"]
    options = build("inversion", compose("demo", words)["inversion"])
    sentences = {
        means: tuple(compose("invert", [f"templates={name}"])["templates"]["sentences"])
        for means, name in (("manner", "style"), ("motion", "paper"))
    }
    return Recipe(options, sentences)
