"""What a motion does and how: a classifier of styles and contents, trained on real clips.

``lead train stage=classifier`` fits and saves one, ``load_classifier`` reads it back, and
``Classifier.predict`` names the style and the content of motions with their probabilities.
"""

from lead.evaluation.classifier.classifier import Classifier, Prediction, load_classifier
from lead.evaluation.classifier.held_out import divide_held_out

__all__ = ["Classifier", "Prediction", "divide_held_out", "load_classifier"]
