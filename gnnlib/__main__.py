"""python -m gnnlib: see `gnnlib.cli`."""

from __future__ import annotations

import sys

from gnnlib.cli import main

if __name__ == "__main__":
    sys.exit(main())
