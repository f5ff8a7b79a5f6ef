"""The linear-quadratic game against a disturbance, in closed form.

    ẋ = A x + B u + D w,   J = ½ x(T)ᵀ F x(T) + ∫ ½ (xᵀQx + uᵀRu − γ² |w|²) dt,   min over u, max over w:

    −Ṗ = AᵀP + PA + Q − P S P,  P(T) = F,  S = B R⁻¹ Bᵀ − γ⁻² D Dᵀ;   u = −R⁻¹BᵀP x,  w = γ⁻² DᵀP x,  V = ½ xᵀP x.

There is a saddle of feedbacks for those γ for which P has no pole in [0, T]; below the least of them, γ*, the
disturbance gains without end. In open loop, where ``ocdl.saddle`` seeks it, it has the same value, but needs a larger
γ: J must be concave in w for u held.
Source: Başar and Bernhard, "H∞-optimal control and related minimax design problems" (1995), section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from ocdl.arrays import Array, finite_array, is_real
from ocdl.errors import InvalidInput, NotSupported

STEPS = 200
NOTHING = 1e-12  # of an eigenvalue that is 1 at the beginning of a step
CRITICAL = 1e-6  # of γ*, relative
DOUBLINGS = 60


@dataclass(frozen=True, eq=False)
class LinearQuadraticGame:
    """The game of the module's formula: A (n, n), B (n, m), D (n, q), Q and F (n, n), R (m, m), T = ``horizon``.

    Raises InvalidInput for shapes that disagree, R that is not positive definite, and NaN.
    """

    A: Any
    B: Any
    D: Any
    Q: Any
    R: Any
    F: Any
    horizon: float
    gamma: float

    def __post_init__(self) -> None:
        for name in "ABDQRF":
            object.__setattr__(self, name, np.atleast_2d(finite_array(name, getattr(self, name))))
        n, m = self.B.shape
        shapes = {"A": (n, n), "D": (n, self.D.shape[1]), "Q": (n, n), "F": (n, n), "R": (m, m)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InvalidInput(
                    f"LinearQuadraticGame({name}=...): {shape} is needed; got {getattr(self, name).shape}."
                )
        for name in "QRF":
            if not np.allclose(getattr(self, name), getattr(self, name).T):
                raise InvalidInput(f"LinearQuadraticGame({name}=...): a symmetric matrix is needed.")
        if np.linalg.eigvalsh(self.R)[0] <= 0.0:
            raise InvalidInput("LinearQuadraticGame(R=...): it must be positive definite.")
        for name in ("horizon", "gamma"):
            value = getattr(self, name)
            if not (is_real(value) and np.isfinite(value) and value > 0.0):
                raise InvalidInput(f"LinearQuadraticGame({name}={value!r}): a finite number above 0 is needed.")

    def riccati(self) -> tuple[Array, Array]:
        """t (K,) and P (K, n, n). Raises NotSupported where there is no saddle."""
        P = self._backwards(self.gamma)
        if P is None:
            raise NotSupported(
                f"LinearQuadraticGame(gamma={self.gamma:g}): there is no saddle, the Riccati equation has a pole in "
                f"[0, {self.horizon:g}] and the disturbance gains without end; gamma above {self.critical():.6g} is "
                "needed."
            )
        return np.linspace(0.0, self.horizon, STEPS + 1), P

    def value(self, x: Any) -> float:
        """V(x, 0) = ½ xᵀP(0) x, the value of the game from x (n,). Raises NotSupported where there is no saddle."""
        x0 = finite_array("x", x)
        return float(0.5 * x0 @ self.riccati()[1][0] @ x0)

    def critical(self) -> float:
        """γ*, to ``CRITICAL``; 0 where the disturbance moves nothing that costs."""
        low, high = 0.0, self.gamma
        for _ in range(DOUBLINGS):
            if self._backwards(high) is not None:
                break
            low, high = high, 2.0 * high
        while high - low > CRITICAL * high and high > CRITICAL * self.gamma:
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self._backwards(middle) is None else (low, middle)
        return high if low > 0.0 else 0.0

    def _backwards(self, gamma: float) -> Array | None:
        """P at equal steps (STEPS + 1, n, n), exactly; None where it has a pole.

        P = Y X⁻¹ with X' = AX − SY, Y' = −QX − AᵀY, anew from X = 1 in each step; at a pole an eigenvalue of X is 0.
        """
        A, n = self.A, len(self.A)
        S = self.B @ np.linalg.solve(self.R, self.B.T) - self.D @ self.D.T / gamma**2
        system = np.block([[A, -S], [-self.Q, -A.T]])
        back = scipy.linalg.expm(-self.horizon / STEPS * system)
        found = [self.F]
        for _ in range(STEPS):
            X, Y = back[:n, :n] + back[:n, n:] @ found[-1], back[n:, :n] + back[n:, n:] @ found[-1]
            if np.linalg.eigvals(X).real.min() <= NOTHING:
                return None
            P = np.linalg.solve(X.T, Y.T).T
            found.append(0.5 * (P + P.T))
        return np.array(found[::-1])
