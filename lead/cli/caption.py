"""lead caption run=RUN motions=FILES [key=value ...] : motions -> sentences (MoTe).

run=RUN          a run of stage=joint_diffusion
motions=A,B      BVH, AMC (with its ASF), .npz or .npy (features, or joints in metres) files, or
                 folders of them; without any, sentences of no motion are written
count=3 seed=1   three sentences of each, of seeds 1, 2 and 3
beams=1          how many beginnings of a sentence are kept while it is written; 1 is greedy
output=FILE      a table of the sentences with their scores; default outputs/captions.tsv
sampling=S       ddim50 | ddim50_guidance2 | ...; sampling.guidance_scale=W, sampling.steps=N
device=auto precision=fp32 overwrite=true

A sentence's score is the mean logarithm of the probability of its pieces. A motion's sentences do
not depend on where it is, which way it faces, or how it is stored.
"""

from collections.abc import Sequence
from pathlib import Path

from lead.cli.loading import compose_for_run, request
from lead.core.errors import RequestError
from lead.core.files import claimed, split_list


def run(overrides: Sequence[str]) -> int:
    """Write sentences of motions."""
    config = compose_for_run("caption", overrides)
    if config["run"] is None:
        raise RequestError("caption needs run=RUN: a run of stage=joint_diffusion")
    output = Path(config["output"] or "outputs/captions.tsv")
    if output.exists() and not config["overwrite"]:
        raise RequestError(f"{output} exists: name another output=, or say overwrite=true")
    with claimed(output):
        from lead.studies.captions import CaptionRequest, caption_files

        names = split_list(config["motions"])
        for line in caption_files(names, request(CaptionRequest, config), output):
            print(line)
    print(f"written: {output}")
    return 0
