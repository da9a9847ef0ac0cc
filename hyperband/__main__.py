"""``python -m hyperband`` is the command ``hyperband``."""

import sys

from hyperband.cli import main

if __name__ == "__main__":
    sys.exit(main())
