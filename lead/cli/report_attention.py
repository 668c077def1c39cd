"""lead report attention run=RUN text="..." [key=value ...] : where motions look among words.

run=RUN          a model that reads text word by word: a flow with local conditioning
text="..."       the sentence; or texts=FILE, one a line ("sentence # SECONDS" sets a length)
seconds=4        length of the motion
seed=1           the motion is the one that `lead generate` makes of it
sampling=S sampling.KEY=V   as for `lead generate`; sampling.sink_threshold=0.2 masks the start
output=FILE.png  default outputs/attention-RUN.png

The picture has a row for each sentence: words against seconds, a mean over steps, layers and heads,
and SinkRatio, the share of the strongest token, at each step. In brackets stands what is no word:
the start and end marks of the text encoder, and padding, which is masked. Beside it FILE.csv has
the share of each word by step, layer and second, FILE.sinks.csv SinkRatio by step, layer and head.
"""

from collections.abc import Sequence

from lead.cli.loading import compose_for_run, request
from lead.cli.prompts import read_prompts
from lead.core.errors import RequestError
from lead.core.files import check_png, claimed, last_name

MOST_SENTENCES = 24  # of one picture


def run(overrides: Sequence[str]) -> int:
    """Draw motions, write where they looked and print SinkRatio."""
    config = compose_for_run("report_attention", overrides)
    if config["run"] is None:
        raise RequestError("report attention needs run=RUN, a flow with local conditioning")
    default = f"outputs/attention-{last_name(config['run'])}.png"
    output = check_png("output", config["output"] or default)
    prompts = _prompts(config)
    from lead.studies.attention import AttentionRequest, draw_attention, sinks_file

    with claimed(output, output.with_suffix(".csv"), sinks_file(output)):
        for line in draw_attention(prompts, request(AttentionRequest, config), output):
            print(line)
    return 0


def _prompts(config: dict) -> list[tuple[str, float]]:
    if (config["text"] is None) == (config["texts"] is None):
        raise RequestError('give either text="a person walks forward" or texts=FILE')
    if config["text"] is not None:
        return [(config["text"], config["seconds"])]
    file = config["texts"]
    too_many = f"texts={file} has more than {MOST_SENTENCES} sentences: take fewer for one picture"
    return read_prompts("texts", file, config["seconds"], most=MOST_SENTENCES, too_many=too_many)
