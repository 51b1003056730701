"""`python -m smallrtc_cli` is `smallrtc`."""

import sys

from smallrtc_cli.cli import main

if __name__ == "__main__":
    sys.exit(main())
