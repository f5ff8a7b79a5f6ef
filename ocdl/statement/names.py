"""Names: what the user calls single states, controls and parameters, and where formulas, bounds and values use them.

A formula takes its arguments by name: a role such as t, x, u, p stands for a whole vector, the name of a state, control
or parameter for one entry of it. Where both ends of a trajectory are meant, ``h0`` and ``hT`` are h at the start and
at the end, as x0 and xT are x.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.arrays import Array, is_real, real_array, shown
from ocdl.errors import InvalidInput
from ocdl.statement.bounds import Box

LISTED = 24  # names in a message
WHOLE = {"x": "state", "u": "control", "p": "parameter"}  # of each letter, what one entry of the vector is called


def automatic(letter: str, i: int) -> str:
    """What entry i is called where the user gave only a number of entries."""
    return f"{letter}{i}"


@dataclass(frozen=True)
class Constant:
    """A formula that is a number, or a list of numbers, whatever its arguments."""

    value: float | tuple[Any, ...]

    def __call__(self) -> Any:
        return self.value if is_real(self.value) else list(self.value)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Whole:
    """A formula of the whole values that are ``taken``, by name, whatever single entries of them are called."""

    taken: tuple[str, ...]
    function: Callable[..., Any]

    def __call__(self, **given: Any) -> Any:
        return self.function(**given)


def formula(given: Any) -> Any:
    """A function where a number or a list of numbers is given; anything else as it is."""
    if is_real(given):
        return Constant(float(given))
    if isinstance(given, (list, tuple, np.ndarray)) and np.ndim(given) == 1 and all(is_real(v) for v in given):
        return Constant(tuple(float(v) for v in given))
    return given


@dataclass(frozen=True)
class Names:
    """The user's own names by letter: of the states x, controls u and parameters p. Automatic names are none."""

    entries: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, states: Sequence[str], controls: Sequence[str], parameters: Sequence[str]) -> Names:
        given = {"x": tuple(states), "u": tuple(controls), "p": tuple(parameters)}
        own = {
            letter: () if all(name == automatic(letter, i) for i, name in enumerate(names)) else names
            for letter, names in given.items()
        }
        return cls(own)

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(name for names in self.entries.values() for name in names)

    def find(self, said: str, name: str) -> tuple[str, int] | None:
        """The letter and the place of what is called ``name``. InvalidInput where there are two."""
        found = [(letter, names.index(name)) for letter, names in self.entries.items() if name in names]
        if len(found) > 1:
            raise InvalidInput(f"{said}: {' and '.join(self._are(name, found))} are both called {name!r}; rename one.")
        return found[0] if found else None

    def _are(self, name: str, found: list[tuple[str, int]]) -> list[str]:
        return [f"a {WHOLE[letter]}" for letter, _ in found]

    def check_units(self, units: Any) -> None:
        """Raise InvalidInput where units are no texts by the names of states, controls and parameters."""
        if units is None:
            return
        if not isinstance(units, Mapping) or not all(isinstance(unit, str) for unit in units.values()):
            raise InvalidInput(f"units={shown(units)}: texts by name are needed, such as units={{'h': 'km'}}.")
        unknown = [name for name in units if name not in self.all]
        if unknown:
            raise InvalidInput(f"units: unknown {unknown}; the names are {', '.join(self.all) or 'automatic ones'}.")

    # -- formulas --------------------------------------------------------------------------------------

    def signature(self, role: str, function: Any, values: tuple[str, ...]) -> Signature:
        """What ``function`` takes of the ``values`` of its role. InvalidInput where that is not clear."""
        if isinstance(function, Whole):
            return Signature(function.taken, {})
        try:
            arguments = list(inspect.signature(function).parameters)
        except ValueError:
            raise InvalidInput(f"{role}: {function!r} does not tell its argument names; wrap it in a lambda.") from None
        known = {argument: self.places(argument, values) for argument in arguments}
        unknown = [name for name, places in known.items() if name not in values and not places]
        if unknown:
            raise InvalidInput(
                f"{role}: its arguments are taken by name from {', '.join((*values, *self._named(values)))}; "
                f"got {', '.join(unknown)}."
            )
        for name, places in known.items():
            self._check_clear(role, name, places, values, arguments)
        return Signature(
            tuple(name for name in arguments if name in values),
            {name: places[0] for name, places in known.items() if name not in values},
        )

    def places(self, argument: str, values: tuple[str, ...]) -> list[tuple[str, int]]:
        """The entries of ``values`` that are called so: of x0 and xT those of x, followed by 0 and T."""
        return [
            (value, i)
            for value in values
            for i, name in enumerate(self.entries.get(value[0], ()))
            if argument == name + value[1:]
        ]

    def _named(self, values: tuple[str, ...]) -> list[str]:
        """What entries of the values are called, of many the first."""
        names = [name + value[1:] for value in values for name in self.entries.get(value[0], ()) if name.isidentifier()]
        return names if len(names) <= LISTED else [*names[:LISTED], "..."]

    def _check_clear(
        self, role: str, name: str, places: list[tuple[str, int]], values: tuple[str, ...], arguments: list[str]
    ) -> None:
        """An argument must not stand for two things; a vector of one entry and that entry are the same."""
        if name in values:
            others = [value for value, _ in places if value != name]
            single = len(self.entries.get(name[0], ())) == 1
            named = [other for other in arguments if other not in values]
            if others or (places and not single and named):
                entry = WHOLE[places[0][0][0]]
                raise InvalidInput(
                    f"{role}: {name} has a meaning of its own there ({', '.join(values)}), and a {entry} is called so "
                    f"too; rename the {entry}, or take whole vectors and their entries, such as x[0]."
                )
        elif len(places) > 1:
            raise InvalidInput(f"{role}: {name} may be an entry of {' or of '.join(v for v, _ in places)}; rename one.")

    # -- values and bounds -----------------------------------------------------------------------------

    def row(self, said: str, given: Any, letter: str, missing: Any = ()) -> Any:
        """A list in the order of the names from a mapping by them; what is no mapping, as it is.

        missing: what stands for a name left out; without it InvalidInput.
        """
        if not isinstance(given, Mapping):
            return given
        names = self.entries[letter]
        unknown, lacking = [n for n in given if n not in names], [n for n in names if n not in given]
        if unknown or (lacking and missing == ()):
            raise InvalidInput(
                f"{said}={shown(given)}: the names of the {WHOLE[letter]}s are needed, {', '.join(names) or 'none'}; "
                f"unknown {unknown}, missing {lacking}."
            )
        return [given.get(name, missing) for name in names]

    def box(self, box: Box) -> Box:
        """The box with the intervals of single names gathered into those of x, u and p."""
        intervals: dict[str, Any] = {name: box.given(name) for name in box.names}
        for letter, names in self.entries.items():
            single = [name for name in names if name in intervals and name not in ("path", "boundary", *WHOLE)]
            if not single:
                continue
            for name in single:
                self.find(f"{box!r}", name)
                del intervals[name]
            if letter in intervals:
                raise InvalidInput(f"{box!r}: {letter} holds all {WHOLE[letter]}s, {single[0]} among them; give one.")
            intervals[letter] = _gathered(box, names, single)
        return Box(**intervals)


@dataclass(frozen=True)
class Signature:
    """What a function takes: whole ``values`` by their own names, and entries of vectors by theirs."""

    values: tuple[str, ...]
    entries: Mapping[str, tuple[str, int]]

    @property
    def needed(self) -> list[str]:
        """The values that must be there to call the function."""
        return list(dict.fromkeys((*self.values, *(value for value, _ in self.entries.values()))))

    def call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function`` as one of the needed values; rows of what holds many columns."""
        if not self.entries:
            return function

        def of_values(**given: Any) -> Any:
            named = {name: given[value][i, :] for name, (value, i) in self.entries.items()}
            return function(**{name: given[name] for name in self.values}, **named)

        return of_values


def _gathered(box: Box, names: tuple[str, ...], single: list[str]) -> Any:
    """The interval of a whole vector from those of its entries; functions of t where one of them is."""

    def ends(t: float) -> tuple[Array, Array]:
        pairs = [box.interval_at(name, (), np.array([t])) for name in names if name in single]
        found = dict(zip([name for name in names if name in single], pairs, strict=True))
        low = [float(found[name][0][0]) if name in found else -np.inf for name in names]
        high = [float(found[name][1][0]) if name in found else np.inf for name in names]
        return real_array(repr(box), low), real_array(repr(box), high)

    if any(box.varies(name) for name in single):
        return (lambda t: ends(t)[0]), (lambda t: ends(t)[1])
    return ends(0.0)
