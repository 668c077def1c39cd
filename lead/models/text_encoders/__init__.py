"""Frozen text encoders: sentences -> one vector per word, a mask, and one vector per sentence.

Each encoder is one file with one class. Nothing heavy is imported before an encoder is built.
"""

from lead.models.text_encoders.base import TextEmbedding, TextEncoder
from lead.models.text_encoders.clip import ClipTextEncoder
from lead.models.text_encoders.hash import HashTextEncoder
from lead.models.text_encoders.loading import make_encoder
from lead.models.text_encoders.locate import locate_model
from lead.models.text_encoders.minilm import MiniLmEncoder
from lead.models.text_encoders.open_clip import OpenClipTextEncoder
from lead.models.text_encoders.sentence_t5 import SentenceT5Encoder

__all__ = [
    "ClipTextEncoder",
    "HashTextEncoder",
    "MiniLmEncoder",
    "OpenClipTextEncoder",
    "SentenceT5Encoder",
    "TextEmbedding",
    "TextEncoder",
    "locate_model",
    "make_encoder",
]
