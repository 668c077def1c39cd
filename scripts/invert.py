"""Learn a word from motions; the same as `lead invert ...`."""

import sys

from lead.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["invert", *sys.argv[1:]]))
