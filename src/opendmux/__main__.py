"""``python -m opendmux`` is the command ``opendmux``."""

import sys

from opendmux.cli import main

if __name__ == "__main__":
    sys.exit(main())
