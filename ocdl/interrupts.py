"""Ctrl-C, and nothing else, whatever CasADi makes of it.

A KeyboardInterrupt inside CasADi comes back as RuntimeError("KeyboardInterrupt"), as SystemError, or, where its
wrappers clear what they meet, as "wrong number or type of arguments", which blames the user's own function. So SIGINT
waits while CasADi runs, and what leaves a block here after a Ctrl-C is KeyboardInterrupt.

Signals belong to the main thread: in others, and where the user ignores SIGINT, the blocks do nothing. A handler of the
user's own is called, only later.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from types import TracebackType
from typing import Any, Self

TWICE = 1.0  # seconds within which a Ctrl-C is the one before, pressed twice


class _Handler:
    """Stands for the handler it found: ``held``, a Ctrl-C waits; ``raised`` counts those that became an exception.

    A signal may come between any two lines; whatever state that leaves, the handler passes signals on, and the next
    outermost block sets it right.
    """

    def __init__(self) -> None:
        self.previous: Any = signal.default_int_handler
        self.installed, self.holding, self.held, self.raised = False, False, False, 0
        self.last = -math.inf

    def __call__(self, number: int, frame: Any) -> None:
        since, self.last = time.monotonic() - self.last, time.monotonic()
        if since < TWICE:
            return
        if self.holding and not self.held:
            self.held = True
        else:  # nobody holds it back, or it is the second
            self.deliver(number, frame)

    def deliver(self, number: int = signal.SIGINT, frame: Any = None) -> None:
        self.held = False
        try:
            self.previous(number, frame)
        except KeyboardInterrupt:
            self.raised += 1
            raise

    def install(self, *, holding: bool) -> None:
        found = signal.getsignal(signal.SIGINT)
        if callable(found):
            if found is not _handler:
                self.previous = found
            self.holding, self.held, self.last = holding, False, -math.inf
            signal.signal(signal.SIGINT, self)
            self.installed = True

    def remove(self) -> None:
        self.installed = False
        if signal.getsignal(signal.SIGINT) is _handler:
            signal.signal(signal.SIGINT, self.previous)


_handler = _Handler()


class _Block:
    holds: bool

    def __enter__(self) -> Self:
        self.active = threading.current_thread() is threading.main_thread()
        if self.active:
            self.outermost, self.before = not _handler.installed, _handler.raised
            if self.outermost:
                _handler.install(holding=self.holds)
            self.outer, _handler.holding = _handler.holding and not self.outermost, self.holds
            self._let_go(held_back=self.holds)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self.active:
            return
        if self.outermost:
            _handler.remove()
        _handler.holding = self.outer
        self._let_go(held_back=self.outer)
        if self.broken and isinstance(error, Exception):
            raise KeyboardInterrupt from error

    @staticmethod
    def _let_go(*, held_back: bool) -> None:
        if _handler.held and not held_back:
            _handler.deliver()

    @property
    def broken(self) -> bool:
        """Whether a Ctrl-C broke into the block."""
        return self.active and _handler.raised > self.before


class interruptible(_Block):
    """``with interruptible():`` Ctrl-C raises KeyboardInterrupt at once, also inside a block that holds it back; an
    error that leaves the block after one is it.
    """

    holds = False


class uninterrupted(_Block):
    """``with uninterrupted() as ctrl_c:`` Ctrl-C waits for the end of the block; a second one breaks in.

    It is raised there, unless the block asks for it by ``ctrl_c.taken()``.
    """

    holds = True

    @property
    def pressed(self) -> bool:
        """Whether a Ctrl-C waits."""
        return self.active and _handler.held

    def taken(self) -> bool:
        """Whether a Ctrl-C waits, which the caller then answers."""
        pressed = self.pressed
        if pressed:
            _handler.held = False
        return pressed
