"""The exception whose message is written for users, and a harmless subclass of it."""


class LabelerError(Exception):
    """An error that the user can do something about.

    The message is one clear sentence: which file or value, why, and what to do next. The command
    line prints the message and exits with 1; it never shows a traceback.
    """


class NoRoomError(LabelerError):
    """The disk is full, so everything else that is to be written would fail, too."""


class AlreadyInError(LabelerError):
    """The video or clip to be added is in the workspace already; nothing was changed."""
