"""The ball |δ| ≤ Δ in which the initial states of samples may be moved, and its dual norm.

max {⟨g, δ⟩ : ‖δ‖_p ≤ Δ} = Δ ‖g‖_q,  1/p + 1/q = 1:   δ = Δ g/‖g‖₂ for p = 2,  δ = Δ sign g for p = ∞.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.arrays import Array, is_real, is_whole
from ocdl.errors import InvalidInput

NORMS = (2.0, np.inf)


@dataclass(frozen=True)
class Ball:
    """‖δ‖ ≤ ``radius`` of changes δ (n,) of an initial state, in the 2-norm or, ``norm=numpy.inf``, the largest entry.

    inputs: how many states, from the first on, are moved, where they are inputs followed by zeros; all by default.
    """

    radius: float
    norm: float = 2.0
    inputs: int | None = None

    def __post_init__(self) -> None:
        if not (is_real(self.radius) and np.isfinite(self.radius) and self.radius >= 0.0):
            raise InvalidInput(f"Ball(radius={self.radius!r}): a finite number, at least 0, is needed.")
        if not (is_real(self.norm) and self.norm in NORMS):
            raise InvalidInput(f"Ball(norm={self.norm!r}): 2 or numpy.inf is needed.")
        if self.inputs is not None and not (is_whole(self.inputs) and self.inputs >= 1):
            raise InvalidInput(f"Ball(inputs={self.inputs!r}): a whole number, at least 1, or None is needed.")

    def moved(self, n: int) -> int:
        """How many of n states are moved. Raises InvalidInput where there are fewer."""
        if self.inputs is not None and self.inputs > n:
            raise InvalidInput(f"Ball(inputs={self.inputs}): this problem has {n} state(s).")
        return n if self.inputs is None else int(self.inputs)

    def size(self, change: Array) -> Array:
        """‖δ‖ of rows δ (R, n)."""
        return np.linalg.norm(change, ord=self.norm, axis=-1)

    def dual(self, gradient: Array) -> Array:
        """‖g‖_q of the moved entries of rows g (R, n)."""
        return np.linalg.norm(gradient[..., : self.inputs], ord=2.0 if self.norm == 2.0 else 1.0, axis=-1)

    def steepest(self, gradient: Array) -> Array:
        """The δ (R, n) in the ball for which ⟨g, δ⟩ is largest; 0 where g = 0."""
        found = np.zeros_like(gradient)
        g = gradient[:, : self.inputs]
        found[:, : self.inputs] = self.radius * (_unit(g) if self.norm == 2.0 else np.sign(g))
        return found

    def projected(self, change: Array) -> Array:
        """The nearest rows (R, n) in the ball."""
        found = np.zeros_like(change)
        part = change[:, : self.inputs]
        if self.norm == 2.0:
            part = (
                part
                * np.minimum(1.0, self.radius / np.maximum(np.linalg.norm(part, axis=1), self.radius or 1.0))[:, None]
            )
        found[:, : self.inputs] = np.clip(part, -self.radius, self.radius)
        return found

    def drawn(self, generator: np.random.Generator, rows: int, n: int) -> Array:
        """Random changes (rows, n) on the boundary."""
        return self.steepest(generator.standard_normal((rows, n)))


def _unit(rows: Array) -> Array:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, length, out=np.zeros_like(rows), where=length > 0.0))
