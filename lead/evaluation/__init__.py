"""Measures of motion: on embeddings, in joint space, and the protocols that put them together.

Nothing here knows a model, sampler or generator: what is judged comes in as arrays or as a
callable. ``lead.evaluation.metrics`` are the measures on embeddings, ``physical`` those on joints,
``judging.run_protocol`` a whole table.
"""
