"""Acclaim motion capture: ASF skeletons and AMC motions, as one and the same with BVH files."""
