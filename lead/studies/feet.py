"""The option clean_feet=true, of generate and export alike."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lead.evaluation.physical import foot_skating_ratio
from lead.export.motion_file import Motion
from lead.representation import get_skeleton
from lead.representation.features import replace_joints
from lead.representation.foot_cleanup import clean_feet


def with_clean_feet(motions: Sequence[Motion]) -> tuple[list[Motion], str]:
    """The motions with feet that stand still, and one line on what that changed."""
    cleaned, reports = [], []
    for motion in motions:
        joints, report = clean_feet(motion.joints, motion.fps, motion.skeleton)
        features = replace_joints(motion.features, joints, motion.skeleton)
        provenance = {**motion.provenance, "clean_feet": "true"}
        cleaned.append(replace(motion, joints=joints, features=features, provenance=provenance))
        reports.append(report)
    before, after = (_skating_ratio(clips) for clips in (motions, cleaned))
    clips = "1 clip" if len(cleaned) == 1 else f"{len(cleaned)} clips"
    mean = np.mean([report.mean_change for report in reports])
    largest = max(report.max_change for report in reports)
    root = np.mean([report.root_change for report in reports])
    return cleaned, (
        f"clean feet, {clips}: skating ratio {before:.3f} -> {after:.3f}; joints moved by "
        f"{mean:.0f} mm on average, {largest:.0f} mm at most; ways end {root:.0f} mm elsewhere"
    )


def _skating_ratio(motions: Sequence[Motion]) -> float:
    ratios = [
        foot_skating_ratio(motion.joints, motion.fps, get_skeleton(motion.skeleton))
        for motion in motions
        if motion.frames > 1
    ]
    return float(np.mean(ratios)) if ratios else 0.0
