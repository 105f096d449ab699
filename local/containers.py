"""What `sam local` needs of a running stack: its containers see this machine by another name, and none of its files."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from db.environment.endpoint import DOCKERS_HOST
from local.relay import Relay
from local.stack import Stack


def variables_for(stack: Stack) -> dict[str, str]:
    """Return the functions' variables as they are inside a container; `sam local` takes those that the template has."""
    inside = {name: value.replace("//127.0.0.1:", f"//{DOCKERS_HOST}:") for name, value in stack.variables.items()}
    return {**inside, "DB_HOST": DOCKERS_HOST}


@contextmanager
def open_to_containers(stack: Stack, environment: Path, bridge: str | None) -> Iterator[None]:
    """Write the file for `sam local --env-vars`; let those in who come by the address of Docker's bridge, if given."""
    ports = (stack.server.port, stack.secrets_manager.port) if bridge else ()
    environment = environment.absolute()
    environment.parent.mkdir(parents=True, exist_ok=True)
    stack.guardian.file(environment)
    environment.touch(mode=0o600)
    environment.write_text(json.dumps({"Parameters": variables_for(stack)}, indent=2), encoding="utf-8")
    with ExitStack() as opened:
        opened.callback(stack.guardian.forget_file, environment)
        opened.callback(environment.unlink, missing_ok=True)
        for port in ports:
            opened.enter_context(Relay(str(bridge), port))
        yield
