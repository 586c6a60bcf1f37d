"""`python -m petctfusion.cli` is the console script."""

import sys

from petctfusion.cli import main

if __name__ == "__main__":
    sys.exit(main())
