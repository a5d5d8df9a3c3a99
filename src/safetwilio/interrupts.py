"""What the handler of a signal raises, told from the errors of the code that it interrupts.

A soft limit of time is an ``Exception`` to Celery and others. Code that bears any error of a
vendor's or a plug-in's would bear that, too, and go on after the limit.
"""

from __future__ import annotations

import signal
import threading
import traceback
from typing import Any


def is_of_signal_handler(error: BaseException) -> bool:
    """Return whether *error*, as it was caught, was raised by the handler of a signal."""
    if threading.current_thread() is not threading.main_thread():  # where alone they run
        return False
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = {_code(handler) for handler in handlers if callable(handler)} - {None}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def _code(handler: Any) -> object:
    """Return what a frame of *handler* runs: a function, a method, or an object with a call."""
    handler = getattr(handler, "func", handler)  # of a partial
    call = handler if hasattr(handler, "__code__") else type(handler).__call__
    return getattr(call, "__code__", None)
