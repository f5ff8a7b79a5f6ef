"""What can go wrong, by whose fault: the input's, the route's or the solve's."""

from __future__ import annotations

from typing import Any


class OcdlError(Exception):
    """Base of every error that ocdl raises on purpose."""


class InvalidInput(OcdlError, ValueError):
    """What the user wrote breaks a rule: the message names the input, the rule and the value."""


class NotSupported(OcdlError, ValueError):
    """A route was asked for something outside its reach: the message says what and what would do."""


class NotWritten(OcdlError, OSError):
    """The system would not write a file: the message says which and why; what was there before is kept."""


class SolveFailed(OcdlError, RuntimeError):
    """A solve ended without an answer; ``solution`` is the last iterate, judged by the referee, a ``Solution``."""

    def __init__(self, message: str, solution: Any = None) -> None:
        super().__init__(message)
        self.solution = solution
