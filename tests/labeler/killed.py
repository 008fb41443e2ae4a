"""A forked child that performs an action and does not live to see the end of it."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import labeler

CODE = str(Path(labeler.__file__).parent)


def killed_before(
    line: int, action: Callable[[], object], code: str | tuple[str, ...] = CODE
) -> NoReturn:
    """Perform an action and end, by SIGKILL before its n-th line of `code` if it has one.

    `code` is how the paths of that code begin; it is all of `labeler` where nothing is said.
    """

    def kill(number: int) -> None:
        if number == line:
            os.kill(os.getpid(), signal.SIGKILL)

    watch_lines(kill, action, code)
    os._exit(0)


def watch_lines(
    watch: Callable[[int], None], action: Callable[[], object], code: str | tuple[str, ...]
) -> None:
    """Perform an action, and call `watch` with n before its n-th line of `code`."""
    number = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal number
        if not frame.f_code.co_filename.startswith(code):
            return None
        if event == "line":
            number += 1
            watch(number)
        return trace

    sys.settrace(trace)
    action()
    sys.settrace(None)
