"""Signals to processes that tests start."""

import signal


def hear_signals() -> None:
    """Let this process be ended by SIGINT and SIGTERM: the `preexec_fn` of one that is to be.

    A process that a shell started in the background ignores SIGINT, and so do all that it starts.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
