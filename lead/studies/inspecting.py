"""``lead prepare ... inspect=true``: what would be read, in words and in one picture."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lead.core.claims import real_place
from lead.core.errors import WorkError, one_line
from lead.data.loading import load_items
from lead.data.source import LoadedClip, Source
from lead.export.contact_sheet import write_contact_sheet
from lead.representation import features_to_joints

SHOWN = 12  # clips on the contact sheet


def inspect_source(source: Source, output: Path) -> Iterator[str]:
    """Say what a source holds and write OUTPUT.inspect.png; prepares nothing."""
    sheet = output.parent / f"{output.name or 'source'}.inspect.png"
    real_place(sheet)
    items = source.list_items()
    usable = [item for item in items if item.captions]
    facts = {
        "source": source.name,
        "licence": source.licence,
        "skeleton": source.skeleton,
        "fps": source.fps,
        "frames kept": f"{source.min_frames}..{source.max_frames} ({source.long_clips} longer)",
        "motions": len(items),
        "splits": dict(Counter(item.split for item in items)),
        "captions": sum(len(item.captions) for item in items),
        **source.describe(items),
    }
    for name, value in facts.items():
        yield f"{name:18} {_shown(value)}"
    places = np.linspace(0, len(usable) - 1, min(SHOWN, len(usable))).astype(int)
    loaded = load_items(source, [usable[place] for place in places])
    clips = [clip for clip in loaded if isinstance(clip, LoadedClip)]
    if not clips:
        reasons = "; ".join(sorted({result.reason for result in loaded})[:3])
        raise WorkError(f"none of {len(loaded)} motions tried could be read: {reasons}")
    lengths = [len(clip.features) for clip in clips]
    yield f"{'lengths tried':18} {min(lengths)}..{max(lengths)} frames at {source.fps:g} fps"
    for clip in clips[:4]:
        yield f"{'example':18} {clip.id}: {clip.captions[0].text}"
    write_contact_sheet(
        sheet,
        [(features_to_joints(c.features, source.skeleton), c.captions[0].text) for c in clips],
        fps=source.fps,
        skeleton=source.skeleton,
    )
    yield f"{'picture':18} {sheet}"


def _shown(value: object) -> str:
    """One line; a table, which begins with a new line, as it is below its name."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if text.startswith("\n") else one_line(text)
