"""Makes `python -m local` find the packages as Lambda does, at the top of src/."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from local.command import main

if __name__ == "__main__":
    sys.exit(main())
