"""Checkpoints of other projects as our modules and run directories, and ours as theirs."""

from lead.interop.acmdm import load_acmdm
from lead.interop.models import load_mld, load_motionlcm, load_t2m_evaluator

__all__ = ["load_acmdm", "load_mld", "load_motionlcm", "load_t2m_evaluator"]
