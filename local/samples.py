"""The sample events of events/: what each shows, and what it must be answered with."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[1] / "events"


@dataclass(frozen=True, slots=True)
class Sample:
    """An event as `sam local invoke -e` takes it."""

    name: str
    """The file's path under events/, without its ending."""
    module: str
    """The function's module in handlers; the name of the folder."""
    event: dict[str, Any]
    status: int | None
    """What the answer must be, in the order of the index, on an empty database; None where it is none of HTTP's."""
    shows: str


def samples(folder: Path = EVENTS) -> Iterator[Sample]:
    """Yield the samples in the order of events/index.json: some need what others have done."""
    for entry in json.loads((folder / "index.json").read_text()):
        path = Path(entry["event"])
        event = json.loads((folder / path).read_text())
        yield Sample(str(path.with_suffix("")), path.parts[0], event, entry["status"], entry["shows"])
