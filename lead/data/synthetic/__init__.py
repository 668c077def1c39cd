"""Motions composed by our own code: a posed figure, its actions, and sentences about them."""

from lead.data.synthetic.captions import write_captions
from lead.data.synthetic.composer import compose
from lead.data.synthetic.script import Script, clip_ids, plan

__all__ = ["Script", "clip_ids", "compose", "plan", "write_captions"]
