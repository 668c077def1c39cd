"""Measured rows beside the published ones: reading, layout and plot of tables.

``paper.load_table`` reads a published table (its numbers are the YAML files in ``tables``),
``measured.read_runs`` what ``lead evaluate`` wrote, ``beside.arrange`` decides what may stand in
one table: numbers of different judges or data never do.
"""
