"""A function that does what its event says, and waits `until` a file is there; it needs no database."""

import os
import sys
import time
from pathlib import Path
from typing import Any

sys.stdout.write("loaded\n")
answered = 0


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - the runtime's
    global answered  # noqa: PLW0603 - what an environment keeps between invocations
    time.sleep(event.get("sleep_s", 0))
    while "until" in event and not Path(event["until"]).exists():
        time.sleep(0.01)
    if "exit" in event:
        os._exit(event["exit"])
    if "raise" in event:
        raise ValueError(event["raise"])
    answered += 1
    sys.stderr.write(f"answered {answered}\n")
    return {"answered": answered, "remaining_ms": context.get_remaining_time_in_millis(), "pid": os.getpid()}
