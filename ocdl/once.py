"""Once: what is compiled from a problem's formulas alone is made once and shared by whoever asks.

Functions are shared, never numbers: initial values, data, weights and bounds are arguments of all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")
KEPT = 8  # of those kinds of which a long loop may ask for ever new ones


class Recent(dict[Hashable, Any]):
    """Values by key, of which the oldest goes where there would be more than ``most``."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def of(self, key: Hashable, build: Callable[[], T]) -> T:
        """The value of ``key``, built where it is not there."""
        if key not in self:
            value = build()
            while len(self) >= self.most:
                del self[next(iter(self))]
            self[key] = value
        value = self[key] = self.pop(key)
        return value


class Built(threading.local):
    """What one set of formulas was compiled to: each thread its own, as compiled functions write into one memory."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def __reduce__(self) -> tuple[type[Built], tuple[()]]:
        return Built, ()  # another process compiles anew

    def of(self, key: Hashable, build: Callable[[], T]) -> T:
        """The value of ``key``, built at the first call."""
        if key not in self._kept:
            self._kept[key] = build()
        return self._kept[key]

    def recent(self, kind: str, key: Hashable, build: Callable[[], T], most: int = KEPT) -> T:
        """The same for what there may be many of: the latest of a kind."""
        latest: Recent = self.of(kind, lambda: Recent(most))
        return latest.of(key, build)


class once(Generic[T]):
    """A property that follows from the formulas of ``self.problem`` alone (and ``self.variant``, if there is one)."""

    def __init__(self, build: Callable[[Any], T]) -> None:
        self.build, self.__doc__ = build, build.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, owner: None, kind: type | None = None) -> once[T]: ...

    @overload
    def __get__(self, owner: object, kind: type | None = None) -> T: ...

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self
        key = type(owner), self.name, getattr(owner, "variant", "")
        return owner.problem.built.of(key, lambda: self.build(owner))
