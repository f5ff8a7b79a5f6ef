"""Second-order conditions in words: is an answer a strict local minimum of its discrete problem?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.nlp.neighbourhood.legendre import curvatures
from ocdl.nlp.neighbourhood.linearised import Linearised
from ocdl.nlp.neighbourhood.second_variation import Swept

Array = NDArray[np.float64]

STRICT = 1e-8  # of the size of H_uu: below it H is not strictly convex


@dataclass(frozen=True)
class SecondOrder:
    """Is the answer a strict local minimum of its discrete problem? ``strict``: True, False, or None where its second
    variation does not tell; ``why``: in words; ``conjugate``: the last conjugate point's depth, NaN without one.
    """

    strict: bool | None
    why: str
    conjugate: float = float("nan")


class Conditions:
    """Those of a linearised answer with ``nodes`` (N+1,), true times."""

    def __init__(self, linearised: Linearised, nodes: Array) -> None:
        self.linearised, self.nodes = linearised, nodes

    @cached_property
    def _convexity(self) -> tuple[Array, float]:
        """The least eigenvalue of H_uu on free controls (N,), NaN where none is free, and its size."""
        return curvatures(self.linearised)

    @property
    def regular(self) -> bool:
        """H_uu > 0 on the free controls of every layer."""
        least, size = self._convexity
        return not np.any(least <= STRICT * size)

    def judged(self, swept: Swept) -> SecondOrder:
        """Legendre and Clebsch first, then the inertia of the whole."""
        least, size = self._convexity
        told = np.flatnonzero(np.isfinite(least))
        if not self.linearised.transcription.problem.m:
            return self._by_inertia("there are no controls", swept)
        if not told.size:
            return SecondOrder(None, "No control is free: bounds and constraints hold them all.")
        k = told[np.argmin(least[told])]
        at = f"{least[k]:.2g} at t = {0.5 * (self.nodes[k] + self.nodes[k + 1]):.4g}"
        if least[k] < -STRICT * size:
            return SecondOrder(False, f"Not a minimum: H_uu has the eigenvalue {at}, against Legendre and Clebsch.")
        if least[k] <= STRICT * size:
            return SecondOrder(None, f"The second variation does not tell: {self.singular}")
        return self._by_inertia(f"the least eigenvalue of H_uu is {at}", swept)

    def _by_inertia(self, legendre: str, swept: Swept) -> SecondOrder:
        if not swept.missing:
            weak = self.linearised.active.weak
            noted = f" {weak} bound(s) are met without pressure and were taken as free." if weak else ""
            return SecondOrder(True, f"A strict local minimum: {legendre}, and no point is conjugate to T.{noted}")
        if not swept.excess:
            return SecondOrder(None, "The second variation vanishes in an admissible direction and does not tell.")
        if self.linearised.active.weak:
            return SecondOrder(
                None, "The second variation falls in a direction that a bound met without pressure may bar."
            )
        failing = np.flatnonzero(~swept.tails)
        if failing.size:
            t = float(np.mean(self.nodes[failing[-1] : failing[-1] + 2]))
            return SecondOrder(False, f"Not a minimum: a point conjugate to T lies near t = {t:.4g}.", t)
        moves = "parameters or free initial states"
        return SecondOrder(False, f"Not a minimum: the second variation falls in a direction that moves {moves}.")

    @property
    def singular(self) -> str:
        """Where the Hamiltonian is not strictly convex in free controls, in words."""
        least, size = self._convexity
        flat = np.flatnonzero(least <= STRICT * size)
        first, last = self.nodes[flat[0]], self.nodes[flat[-1] + 1]
        return (
            f"in {flat.size} of {least.size} layers between t = {first:.4g} and {last:.4g} the Hamiltonian is linear "
            "or flat in controls that no bound holds: switches of a bang-bang control, or a singular arc. There the "
            "answer moves by its switching times, not by a gain."
        )
