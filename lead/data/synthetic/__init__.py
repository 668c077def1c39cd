"""Motions composed by our own code: a posed figure, its actions, and sentences about them."""

from lead.data.synthetic.composer import compose, plan
from lead.data.synthetic.script import Script, clip_ids

__all__ = ["Script", "clip_ids", "compose", "plan"]
