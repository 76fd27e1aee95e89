"""What the single binary runs: the command line."""

from __future__ import annotations

import sys

from opendmux.cli import main

if __name__ == "__main__":
    sys.exit(main())
