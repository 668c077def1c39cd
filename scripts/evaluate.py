"""Measure a run; the same as `lead evaluate ...`."""

import sys

from lead.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
