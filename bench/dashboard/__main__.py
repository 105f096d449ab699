"""`python -m bench.dashboard`: draws bench/dashboard.png, the template's dashboard after a minute and a half of work.

From PostgreSQL 16 on the monitor looks also while others have every slot: the wheel's is used where PG_BIN names none.
"""

import os
from pathlib import Path

from bench.dashboard.picture import draw
from bench.dashboard.run import measured
from bench.dashboard.widgets import widgets
from local.binaries import bundled
from local.template import Template

PICTURE = Path(__file__).parents[1] / "dashboard.png"

if __name__ == "__main__":
    os.environ.setdefault("PG_BIN", str(next(bundled())))
    draw(widgets(Template().dashboard()), measured(), PICTURE)
