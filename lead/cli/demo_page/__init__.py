"""The web page and JSON endpoint of ``lead demo``: a server of the standard library, no more."""
