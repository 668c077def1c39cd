"""The text-to-motion feature extractor: sentences and motions in one space (Guo et al., 2022)."""

from lead.evaluation.extractor.networks import FeatureExtractor

__all__ = ["FeatureExtractor"]
