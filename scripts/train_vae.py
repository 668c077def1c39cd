"""Train stage 'vae'; the same as `lead train stage=vae ...`."""

import sys

from lead.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", "stage=vae", *sys.argv[1:]]))
