"""The words that describe a motion."""
