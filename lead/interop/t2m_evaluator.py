"""The published evaluator of the text-to-motion protocol as our feature extractor."""

from pathlib import Path

from lead.evaluation.extractor import FeatureExtractor
from lead.evaluation.extractor.official import load_official_extractor, weights_file


def load_t2m_evaluator(path: Path | str, dataset: str = "humanml3d") -> FeatureExtractor:
    """The published evaluator of ``dataset`` (humanml3d or kitml), in evaluation mode.

    ``path`` is ``finest.tar`` or a folder that holds it where its authors put it. Its
    ``embed_motion`` reads features that are normalised with the evaluator's own statistics (not
    the data set's), its ``embed_text`` GloVe vectors with one-hot word classes;
    ``lead.evaluation.judge.load_judge`` brings these along.
    Nothing in the file is executed. Raises RequestError where it is missing, broken or refused,
    and lists the tensors that are missing, unexpected or misshapen.
    """
    return load_official_extractor(weights_file(path, dataset), dataset)
