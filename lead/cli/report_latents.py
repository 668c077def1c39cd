"""lead report latents run=RUN [key=value ...] : real clips before and after the projector.

run=RUN          a projector run; or one of stage=joint_diffusion: motions and sentences before and
                 after its blocks, and how often one is found by the other
label=L          what colours a clip: a label of the data set (content, style, ...), or verb,
                 the first verb of its first caption; default: the first of content, action, verb
classes=10       the most frequent ones; clips of others are left out
split=test       dataset=DIR names another prepared data set
method=M         tsne (extra `analysis`) | pca; default: tsne where scikit-learn is installed
output=FILE.png  default outputs/latents-RUN.png; the points stand beside it as CSV

Two numbers say how well classes are told apart, in the spaces themselves and not in the picture:
the mean silhouette, and the accuracy of a vote of the five nearest other clips.
"""

from collections.abc import Sequence

from lead.cli.config import compose
from lead.cli.loading import request
from lead.core.errors import RequestError
from lead.core.files import check_png, claimed, last_name


def run(overrides: Sequence[str]) -> int:
    """Draw the latents, write the points and print the numbers."""
    config = compose("report_latents", overrides)
    if config["run"] is None:
        raise RequestError("report latents needs run=RUN, a projector run")
    default = f"outputs/latents-{last_name(config['run'])}.png"
    output = check_png("output", config["output"] or default)
    with claimed(output, output.with_suffix(".csv")):
        from lead.studies.latents import LatentsRequest, draw_latents

        for line in draw_latents(request(LatentsRequest, config), output):
            print(line)
    return 0
