"""Speed, beside the floor of this machine and plain code."""

SUBJECTS = {
    "generate": "lead.bench.generate",
    "flow": "lead.bench.flow",
    "joint": "lead.bench.joint",
    "train": "lead.bench.train",
    "prepare": "lead.bench.prepare",
    "evaluate": "lead.bench.evaluate",
    "import-time": "lead.bench.import_time",
    "linear": "lead.bench.linear",
    "distilled": "lead.bench.distilled",
}
"""What is measured -> the module whose ``measure`` does it."""
