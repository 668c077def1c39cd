"""Train stage 'diffusion'; the same as `lead train stage=diffusion ...`."""

import sys

from lead.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", "stage=diffusion", *sys.argv[1:]]))
