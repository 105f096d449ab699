"""Hears SIGTERM in a thread of its own, whatever the main thread is doing. Knows nothing of what is to be done then.

A Python handler would run in the main thread, which may be waiting in C code of the runtime client. So the
interpreter's own handler, which runs at once, says through a pipe that the signal has come. To block the signal and
wait for it would do here, and harm others: a program that a handler starts would inherit the mask, and nobody could
end it.
https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
"""

import os
import signal
import threading
from collections.abc import Callable


def at_sigterm(act: Callable[[], None]) -> None:
    """Call `act` once, in a thread of its own, when SIGTERM comes. To be called in the main thread."""
    hears, told = os.pipe()
    os.set_blocking(told, False)

    def tell(*_: object) -> None:
        """Say it again where somebody else has taken the wakeup descriptor: asyncio's add_signal_handler does."""
        os.write(told, bytes([signal.SIGTERM]))

    def wait() -> None:
        while signal.SIGTERM not in os.read(hears, 64):
            pass  # another signal's
        act()

    signal.signal(signal.SIGTERM, tell)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=_as_ever)
    threading.Thread(target=wait, name="slotwise-end", daemon=True).start()


def _hold_back() -> None:
    """Let SIGTERM wait until a fork is as ever: before that, its signal would be told to its parent."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])


def _let_through() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def _as_ever() -> None:
    """Let a fork end by SIGTERM, and not tell its parent."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_through()
