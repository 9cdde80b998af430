"""How many processor cores there are for this process."""

from __future__ import annotations

import os
import signal


def cores() -> int:
    """Those that it may use; where the system does not tell, all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_on_interrupt() -> None:
    """For a worker process: Ctrl-C ends it without a trace; the process that started it says what there is to say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
