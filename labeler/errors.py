"""The one exception that a user is meant to read, and a harmless kind of it."""


class LabelerError(Exception):
    """Something a user can act on.

    The message is one clear sentence: which file or value, why, and what to do next. The command
    line prints it and exits with 1; it never shows a traceback for one.
    """


class AlreadyInError(LabelerError):
    """What was to be added is in already: nothing was done, and nothing is wrong."""
