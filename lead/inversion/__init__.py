"""Motion textual inversion (LEAD section 4.2): from a few motions to one new word."""

from lead.inversion.concepts import Concept
from lead.inversion.examples import read_recorded_example, whole_features
from lead.inversion.options import InversionOptions
from lead.inversion.word import Word, read_word, write_word

__all__ = [
    "Concept",
    "InversionOptions",
    "Word",
    "read_recorded_example",
    "read_word",
    "whole_features",
    "write_word",
]
