"""What an execution environment does at the turns of its life: prepares, is cloned from a snapshot, ends.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
Freezing and thawing are nobody's news: Lambda announces neither, so each borrow looks at the clock and the socket.
Knows nothing of events and metrics: what else is to be done at the end, it is told.
"""

import os
import random
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from db.database import Database
from db.deadline import Deadline
from db.environment.extension_api import register
from db.environment.process import LambdaProcess
from db.environment.sigterm import at_sigterm
from db.errors import SlotwiseError
from db.rehearsal import Work
from db.settings import AtInit

PREPARE_TIMEOUT_S = 3.0
"""How long what is only done ahead may take; Lambda gives ten seconds to INIT and to a restore."""
SHUTDOWN_TIMEOUT_S = 0.25
"""Lambda kills 300 ms after SIGTERM."""


class Lifecycle:
    """One environment's life with one database. Outside of Lambda it does nothing."""

    def __init__(
        self, database: Database, process: LambdaProcess, *, at_end: Callable[[], None] = lambda: None
    ) -> None:
        """Begin nothing yet; `at_end` is called after the connections have been closed, and must be quick."""
        self._database = database
        self._process = process
        self._at_end = at_end
        self._settings = database.settings
        self._preparing: threading.Thread | None = None
        self._extension: socket.socket | None = None

    def begin(self) -> None:
        """Set up for snapshot and end, and begin to prepare beside what the function imports yet."""
        if self._process.runtime_api is None:
            return
        self._hook_into_snapshots()
        if self._settings.graceful_shutdown:
            self._await_the_end(self._process.runtime_api)
        if self._settings.at_init is not AtInit.NOTHING and not self._process.is_snapshot:
            _ = self._database.engine  # built once, before two threads want it
            self._preparing = threading.Thread(target=self._look_up, name="slotwise-prepare", daemon=True)
            self._preparing.start()

    def ready(self, rehearsals: Iterable[Work] = ()) -> None:
        """End INIT: compile statements while the secret is on its way, wait for it, connect where the settings say so.

        Raises nothing: where secret or database are away, or a statement is wrong, its first use says so.
        """
        if self._process.runtime_api is not None and self._settings.at_init is not AtInit.NOTHING:
            with suppress(Exception):
                self._database.rehearse(rehearsals)
        if self._preparing is not None:
            self._preparing.join(PREPARE_TIMEOUT_S)
            self._preparing = None
            self._connect_ahead()

    def before_snapshot(self) -> None:
        """Close what a clone must not share, and forget what it must not know: secrets and keys made of them."""
        self._database.forget()

    def after_restore(self) -> None:
        """Make this clone another one than its siblings, and look again who may log in."""
        random.seed()
        ssl.RAND_add(os.urandom(32), 32.0)
        if self._settings.at_init is not AtInit.NOTHING:
            self._look_up()
            self._connect_ahead()

    def _look_up(self) -> None:
        with suppress(SlotwiseError):
            self._database.prepare(Deadline.after(PREPARE_TIMEOUT_S))

    def _connect_ahead(self) -> None:
        if self._settings.at_init is AtInit.CONNECTION and self._settings.pool_size > 0:
            remaining_ms = (PREPARE_TIMEOUT_S + self._settings.reserve_s) * 1000
            with suppress(SlotwiseError), self._database.invocation(remaining_ms), self._database.autocommit():
                pass

    def _hook_into_snapshots(self) -> None:
        """Register with SnapStart, where the runtime has it. https://pypi.org/project/snapshot-restore-py/."""
        try:
            import snapshot_restore_py  # noqa: PLC0415 - the runtime's; a laptop may have none
        except ImportError:
            return
        snapshot_restore_py.register_before_snapshot(self.before_snapshot)
        snapshot_restore_py.register_after_restore(self.after_restore)

    def _await_the_end(self, runtime_api: str) -> None:
        """Ask for SIGTERM, and wait for it; only the main thread, which imports a function, may say who hears it."""
        if threading.current_thread() is threading.main_thread():
            self._extension = register(runtime_api)
            if self._extension is not None:
                at_sigterm(self._end)

    def _end(self) -> None:
        """Say goodbye to the server, and end before Lambda kills."""
        watchdog = threading.Timer(SHUTDOWN_TIMEOUT_S, os._exit, (0,))
        watchdog.daemon = True
        watchdog.start()
        for step in (self._database.close, self._at_end, sys.stdout.flush):
            with suppress(Exception):
                step()
        os._exit(0)
