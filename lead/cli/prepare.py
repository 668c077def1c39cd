"""lead prepare data=NAME source=DIR [key=value ...] : a data source -> a packed dataset.

data=NAME        humanml3d | kitml | bandai_namco | style100 | cmu | bvh | mix | cmu_open (default)
source=DIR       where the collection is (mix and cmu_open need none)
parts=[A,B]      prepared datasets that data=mix makes one
output=DIR       where to write; default datasets/NAME
inspect=true     only show what would be read, and write a picture of a few clips
workers=N        processes, default 2
mirror=true      add the mirror image of every training clip, captions mirrored too
overwrite=true   replace a dataset that is there
recaption=true   write new captions into a prepared bandai_namco and leave its motions alone
data.KEY=VALUE   any value of configs/data/NAME.yaml
"""

from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import choice, compose
from lead.cli.outputs import DATASET, output_folder
from lead.core.errors import RequestError, one_line
from lead.core.stopping import ended_in_order

WITHOUT_FOLDER = ("cmu_open", "mix")


def run(overrides: Sequence[str]) -> int:
    """Prepare, or inspect, one data source."""
    config = compose("prepare", overrides)
    name = choice(overrides, "data", "cmu_open")
    output = Path(config["output"] or f"datasets/{name}")
    if config["inspect"]:
        from lead.studies.inspecting import inspect_source

        for line in inspect_source(_make_source(config, name), output):
            print(line)
        return 0
    if config["recaption"]:
        source = _make_source({**config, "source": config["source"] or "."}, name)
        with output_folder(output, DATASET, overwrite=True):
            return _recaption(source, output)
    with ended_in_order(), output_folder(output, DATASET, overwrite=config["overwrite"]):
        return _prepare(_make_source(config, name), output, config)


def _recaption(source, output: Path) -> int:
    from lead.data.recaption import Captioner, recaption

    if not isinstance(source, Captioner):
        raise RequestError(
            f"'{source.name}' brings its own captions: recaption=true is for bandai_namco"
        )
    print(f"{output}: {recaption(source, output)} captions written anew")
    return 0


def _make_source(config: dict, name: str):
    from lead.core.building import build

    extra = {}
    if name == "mix":
        extra["parts"] = [str(Path(part).expanduser()) for part in config["parts"]]
    if config["source"] is not None:
        path = Path(config["source"])
        if not path.exists():
            raise RequestError(f"source={path} does not exist: name the collection's folder")
        extra["source"] = path
    elif name not in WITHOUT_FOLDER:
        raise RequestError(f"data={name} needs source=DIR: the folder that holds the collection")
    return build("source", config["data"], "data", **extra)


def _prepare(source, output: Path, config: dict) -> int:
    from lead.data.caption_kinds import count_dataset, table_lines
    from lead.data.packed import open_dataset
    from lead.data.packing import pack

    report = pack(
        source,
        output,
        workers=config["workers"],
        overwrite=config["overwrite"],
        mirror=config["mirror"],
    )
    clips = ", ".join(f"{name} {count}" for name, count in sorted(report.clips.items()))
    print(f"{output}: {sum(report.clips.values())} clips ({clips})")
    for line in table_lines(count_dataset(open_dataset(output))):
        print(line)
    if report.rejected:
        print(f"left out: {len(report.rejected)} (all in {output}/report.json)")
        for rejected in report.rejected[:10]:
            print(f"  {one_line(f'{rejected.id}: {rejected.reason}')}")
    return 0
