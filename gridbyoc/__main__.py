"""``python -m gridbyoc`` is ``gridbyoc``."""

import sys

from gridbyoc.cli import main

if __name__ == "__main__":
    sys.exit(main())
