"""Train stage 'projector'; the same as `lead train stage=projector ...`."""

import sys

from lead.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", "stage=projector", *sys.argv[1:]]))
