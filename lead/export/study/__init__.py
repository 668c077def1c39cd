"""A user study as one HTML page: pairs of motions, blinded, with ratings from 1 to 5."""

from lead.export.study.pages import Pair, Study, write_study

__all__ = ["Pair", "Study", "write_study"]
