"""``lead export run=RUN format=starter``: trained runs as one small folder to ship."""

from pathlib import Path

from lead.cli.outputs import STARTER, output_folder
from lead.core.errors import RequestError
from lead.core.files import split_list

DEFAULT = "checkpoints/starter"


def export_starter(config: dict) -> int:
    """Pack the runs and say what the folder holds."""
    if config["run"] is None:
        raise RequestError("format=starter needs run=RUN: a run that generates")
    if config["motion"] is not None:
        raise RequestError("format=starter packs runs: leave motion files out")
    output = Path(config["output"] or DEFAULT)
    with output_folder(output, STARTER, overwrite=config["overwrite"]):
        return _pack(config, output)


def _pack(config: dict, output: Path) -> int:
    from lead.core.runs import Run
    from lead.data.packed import open_dataset
    from lead.interop.starter import folder_sizes, pack_starter

    run = Run(Path(config["run"]))
    dataset = open_dataset(config["dataset"] or run.default_dataset)
    words = [Path(path) for path in split_list(config["words"])]
    beside = [Run(Path(path)) for path in split_list(config["beside"])]
    options = {key: config[key] for key in ("bits", "overwrite")}
    packed = pack_starter(run, dataset, output, beside=beside, words=words, **options)
    sizes = folder_sizes(packed.folder)
    for name, size in sizes.items():
        print(f"{size / 1e6:8.2f} MB  {name}")
    print(f"{packed.folder}: {sum(sizes.values()) / 1e6:.1f} MB")
    return 0
