"""Joints to files: the motion file, moving pictures, contact sheets, an index."""
