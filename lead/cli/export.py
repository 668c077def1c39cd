"""lead export FILE.npz [FILE.npz ...] format=gif [output=FILE] : motion files in another format.

FILE.npz ...     motion files of `lead generate`, or recordings (BVH; AMC of 120 fps with its ASF
                 beside it), which are put at the origin, facing +Z; also as motion=FILE
format=gif       gif | webp | mp4 | png | npz | bvh | glb | html (all files in one)
output=FILE      default: beside each motion file; player.html beside the first of several; of
                 several motions in one GLB file each is an animation. A file there is replaced,
                 but beside a recording only with output=FILE or overwrite=true
run=RUN format=mld output=FILE   a diffusion run as a checkpoint that MLD's code loads
evaluator=FILE   for format=mld: a published finest.tar, which MLD's strict loading asks for
run=RUN format=starter   a run that generates as the starter model, checkpoints/starter, which
                 `lead generate` takes where no run is named; with beside=[RUN,RUN] words=[A,B]
                 dataset=DIR bits=16 (or 8, a number) output=DIR overwrite=true
fps=60           frames a second, default 20, also of a recording; more lie between the model's
names=mixamo     joint names of BVH and GLB: lead | mixamo | vrm (Unity's too) | smpl
root=true        a node on the ground below the hips, for engines that move figures by it
scale=1          units in a metre of a BVH file: 1 for Blender, 100 for programs that count in cm
"""

import os
from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import compose_with_words
from lead.cli.loading import request
from lead.core.errors import RequestError
from lead.core.files import claimed


def run(overrides: Sequence[str]) -> int:
    """Convert motion files."""
    config, files = compose_with_words("export", overrides)
    if config["format"] == "starter":
        from lead.cli.export_runs import export_starter

        return export_starter(config)
    if config["format"] == "mld" or config["run"] is not None:
        from lead.cli.export_runs import export_checkpoint

        return export_checkpoint(config)
    paths = [Path(file) for file in (*files, config["motion"]) if file is not None]
    if not paths:
        raise RequestError(
            "export needs motion=FILE.npz: a file that `lead generate` wrote, BVH or AMC"
        )

    from lead.export.formats import FORMATS, PAGES, TOGETHER, Manner

    format = config["format"]
    request(Manner, config).check(format)
    together = format in (PAGES if config["output"] is None else TOGETHER)
    outputs = _outputs(paths, config, together=together)
    if (ending := outputs[0].suffix[1:]) in {*FORMATS} - {format}:
        raise RequestError(f"{outputs[0]} would hold {format}: say format={ending}")
    with claimed(*outputs):
        return _convert(paths, outputs, config)


def _convert(paths: list[Path], outputs: list[Path], config: dict) -> int:
    from lead.export.formats import Manner, export_motion, export_together
    from lead.export.recorded import read_any_motion

    format, manner = config["format"], request(Manner, config)
    motions = [read_any_motion(path, manner.fps) for path in paths]
    if len(outputs) < len(motions):
        remarks = [export_together(motions, outputs[0], format, manner)]
    else:
        both = zip(motions, outputs, strict=True)
        remarks = [export_motion(motion, output, format, manner) for motion, output in both]
    for output, remark in zip(outputs, remarks, strict=True):
        print(f"{output}: {remark}" if remark else output)
    return 0


def _outputs(paths: list[Path], config: dict, *, together: bool) -> list[Path]:
    """The file to write for each motion, or the single one for all of them."""
    if config["output"] is not None and len(paths) > 1 and not together:
        raise RequestError(
            f"{len(paths)} motions do not fit into one .{config['format']} file: leave output= "
            "out, or take format=html or glb"
        )
    outputs = [path.with_suffix(f".{config['format']}") for path in paths]
    if together and len(paths) > 1:
        outputs = [paths[0].with_name(f"player.{config['format']}")]
    if config["output"] is not None:
        outputs = [Path(config["output"])]
    read = {os.path.realpath(path) for path in paths}
    for path, output in zip(paths, outputs, strict=False):
        if os.path.realpath(output) in read:
            raise RequestError(f"{output} is the motion file itself: name another output=FILE")
        chosen = config["output"] is not None or config["overwrite"] or path.suffix == ".npz"
        if not chosen and output.exists():  # beside a recording it may be somebody's work
            raise RequestError(f"{output} exists: name output=FILE, or say overwrite=true")
    return outputs
