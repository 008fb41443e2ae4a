"""One thing that the doctor looked at."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a check found."""

    FINE = "fine"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and if it is not fine, what to do."""

    name: str
    state: State
    found: str
    fix: str = ""
