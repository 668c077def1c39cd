"""lead caption run=RUN motions=FILES [key=value ...] : motions -> sentences (MoTe).

run=RUN          a run of stage=captioner, or of stage=joint_diffusion that it stands on
motions=A,B      BVH, AMC (with its ASF), .npz or .npy (features, or joints in metres) files, or
                 folders of them
text="..."       instead of motions: sentences like this one; texts=FILE, one a line
strength=0.5     how far these may be from it: 0 writes it again from its latents, 1 is a new one
                 Without motions and text: sentences of nothing are written
count=3 seed=1   three sentences of each, of seeds 1, 2 and 3; device=, precision=, overwrite=true
beams=1          how many beginnings of a sentence are kept while it is written; 1 is greedy
output=FILE      a table of the sentences with their scores; default outputs/captions.tsv
sampling=S       ddim50 | ddim50_guidance2 | ...; sampling.guidance_scale=W, sampling.steps=N
sampling.candidates=8  sentences drawn for each that is written: the one the motion follows best

A sentence's score is the mean logarithm of the probability of its pieces. A motion's sentences do
not depend on where it is, which way it faces, or how it is stored.
"""

from collections.abc import Sequence
from pathlib import Path

from lead.cli.loading import compose_for_run, request
from lead.cli.prompts import MOST_SENTENCES, read_prompts
from lead.core.errors import RequestError
from lead.core.files import claimed, split_list
from lead.core.reading import plain_text


def run(overrides: Sequence[str]) -> int:
    """Write sentences of motions."""
    config = compose_for_run("caption", overrides)
    if config["run"] is None:
        raise RequestError("caption needs run=RUN: one such as checkpoints/starter/captioner")
    if sum(config[key] is not None for key in ("motions", "text", "texts")) > 1:
        raise RequestError('caption takes one of motions=FILES, text="..." and texts=FILE')
    output = Path(config["output"] or "outputs/captions.tsv")
    if output.exists() and not config["overwrite"]:
        raise RequestError(f"{output} exists: name another output=, or say overwrite=true")
    with claimed(output):
        from lead.studies.captions import CaptionRequest, caption_files

        names = split_list(config["motions"])
        for line in caption_files(names, _texts(config), request(CaptionRequest, config), output):
            print(line)
    print(f"written: {output}")
    return 0


def _texts(config: dict) -> list[str]:
    """The sentences to write others of."""
    if config["texts"] is None:
        if config["text"] is not None and not config["text"].strip():
            raise RequestError('text is empty: give a sentence, text="a person walks forward"')
        return [] if config["text"] is None else [plain_text("text", config["text"])]
    too_many = f"texts={config['texts']} has more than {MOST_SENTENCES} sentences: make two of it"
    asked = ("texts", config["texts"], 1.0)
    return [text for text, _ in read_prompts(*asked, most=MOST_SENTENCES, too_many=too_many)]
