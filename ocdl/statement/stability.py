"""Stability as a constraint of training: what a layer may do to differences, kept at every depth.

A layer ẏ = φ(y) with ∂φ/∂y = D M, D = diag σ'(z), 0 ≤ σ' ≤ L, is bound through its operator M alone: M = K of
ẏ = σ(Ky + β), and M = −B of ∂t f = σ(a − Bf). A constraint lends the problem controls of its own and rows of ``path``
that are exact: M is stable if, and only if, there are such controls for it. They cost nothing and no state sees them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import casadi as ca
import numpy as np

from ocdl.arrays import Array, is_real
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.activations import Activation
from ocdl.statement.bounds import Box
from ocdl.statement.budget import Budget
from ocdl.statement.extended import Reduction
from ocdl.statement.layout import LENT, Part


@dataclass(frozen=True)
class Stability:
    """Base of the constraints. A new one has ``parts`` and ``rows``.

    interval: of its rows of path. kernels: whether it says something of a kernel b(y, z), whatever the width grid.
    """

    interval: ClassVar[tuple[float, float]] = (-math.inf, 0.0)
    kernels: ClassVar[bool] = True

    @property
    def reduction(self) -> Reduction:
        """What the user wrote where the problem has path."""
        return Reduction(written={"path": (f"stability={self!r}",)})

    def parts(self, n: int) -> tuple[Part, ...]:
        """The controls it lends to n states."""
        raise NotImplementedError(f"{type(self).__name__} has no parts")

    def rows(self, M: Any, lent: Any) -> Any:
        """Rows of path, of M (n, n) in coordinates with the Euclidean product, and of the ``lent`` controls, flat."""
        raise NotImplementedError(f"{type(self).__name__} has no rows")

    def bounds(self, n: int) -> Box:
        """Intervals of the controls it lends."""
        return Box()

    def ends(self, n: int) -> tuple[Array, Array]:
        """Those, flat."""
        box, pairs = self.bounds(n), []
        for part in self.parts(n):
            pairs.append([end.ravel() for end in box.interval(part.name, part.shape)])
        low, high = zip(*pairs, strict=True) if pairs else ((np.zeros(0),), (np.zeros(0),))
        return np.concatenate(low), np.concatenate(high)

    def budgets(self, activation: Activation) -> tuple[Budget, ...]:
        """Integrals of the controls it lends."""
        return ()


@dataclass(frozen=True)
class Dissipative(Stability):
    """B_s = −½(M + Mᵀ) ≥ γ: ∫Σ(u) never grows where the layers don't change with the depth; γ = ``margin`` ≥ 0.

    B_s − γ = C Cᵀ with C ("C", its lower triangle row by row) and C_ii ≥ 0. These are n(n + 1)/2 quadratic equations
    with as many controls more; B enters linearly, so that the gradients are independent everywhere, also where B_s − γ
    is singular, as minors are not. C = 0 is stationary, and it is C_ii ≥ 0 that keeps an interior-point method off it:
    with C free IPOPT stays there.
    Source: Liu and Markowich, Theorem 3.2.
    """

    interval: ClassVar[tuple[float, float]] = (0.0, 0.0)
    margin: float = 0.0

    def __post_init__(self) -> None:
        check_margin(self)

    def parts(self, n: int) -> tuple[Part, ...]:
        return (Part("C", (LENT,), (n * (n + 1) // 2,)),)

    def bounds(self, n: int) -> Box:
        i, j = np.tril_indices(n)
        return Box(C=(np.where(i == j, 0.0, -np.inf), np.full(i.size, np.inf)))

    def rows(self, M: Any, lent: Any) -> Any:
        n = M.shape[0]
        i, j = np.tril_indices(n)
        places = np.zeros((n, n), dtype=int)
        places[i, j] = 1 + np.arange(i.size)
        C = ca.reshape(ca.vertcat(0, lent)[places.ravel(order="F").tolist()], n, n)
        short = -0.5 * (M + M.T) - self.margin * ca.DM.eye(n) - C @ C.T
        return ca.vertcat(*[short[int(k), int(q)] for k, q in zip(i, j, strict=True)])


@dataclass(frozen=True)
class Nonexpansive(Stability):
    """M_ii + Σ_{j≠i} |M_ij| ≤ −γ: no distance max_i |y_i − y'_i| grows, whatever σ' ≥ 0 is; γ = ``margin`` ≥ 0.

    step: h L, where no step y + hσ(Ky + β) is to expand either: −M_ii + Σ_{j≠i} |M_ij| ≤ 2/(h L); 0 for flows alone.

    Linear in M and r ("r", off the diagonal row by row), |M_ij| ≤ r_ij. In the Euclidean norm only diagonal M ≤ 0
    do this for all slopes σ' ≥ 0; ``Contractive`` layers do by their form.
    Source: Söderlind, "The logarithmic norm", BIT Numer. Math. 46 (2006).
    """

    kernels: ClassVar[bool] = False
    margin: float = 0.0
    step: float = 0.0

    def __post_init__(self) -> None:
        check_margin(self)
        if not (is_real(self.step) and math.isfinite(self.step) and self.step >= 0.0):
            raise InvalidInput(f"Nonexpansive(step={self.step!r}): h sup |σ'| is a number, at least 0.")

    def parts(self, n: int) -> tuple[Part, ...]:
        return (Part("r", (LENT,), (n * (n - 1),)),) if n > 1 else ()

    def rows(self, M: Any, lent: Any) -> Any:
        n = M.shape[0]
        off = [(i, j) for i in range(n) for j in range(n) if i != j]
        entries = ca.vertcat(*[M[i, j] for i, j in off])
        sums = [ca.sum1(lent[i * (n - 1) : (i + 1) * (n - 1)]) for i in range(n)]
        rows = [M[i, i] + sums[i] + self.margin for i in range(n)]
        if self.step:
            rows += [sums[i] - M[i, i] - 2.0 / self.step for i in range(n)]
        return ca.vertcat(entries - lent, -entries - lent, *rows)


@dataclass(frozen=True)
class Amplification(Stability):
    """exp(∫ L |M| dt) ≤ κ, with |M| = (Σ M_ij²)^{½}, ‖b‖ in L²(Y × Y): no difference of two samples, and no costate,
    grows or shrinks by more than the factor κ = ``most`` > 1.

    |M|² ≤ s² with s ≥ 0 ("s"), and the budget ∫ s dt = log κ / L, whose slack is that of s. Explicit Runge–Kutta steps
    of coefficients ≥ 0 don't let them grow by more either. Source: Liu and Markowich, section 3.5, below (3.6).
    """

    most: float = 10.0

    def __post_init__(self) -> None:
        if not (is_real(self.most) and math.isfinite(self.most) and self.most > 1.0):
            raise InvalidInput(f"Amplification(most={self.most!r}): the factor is a number above 1.")

    def parts(self, n: int) -> tuple[Part, ...]:
        return (Part("s", (LENT,), (1,)),)

    def bounds(self, n: int) -> Box:
        return Box(s=(0.0, None))

    def rows(self, M: Any, lent: Any) -> Any:
        return ca.sumsqr(M) - lent**2

    def budgets(self, activation: Activation) -> tuple[Budget, ...]:
        if not math.isfinite(activation.lipschitz):
            raise NotSupported(
                f"{self!r}: a finite sup |σ'| is needed; that of {activation!r} is infinite or not known."
            )
        return (Budget("s", math.log(self.most) / activation.lipschitz),)


def check_margin(given: Any) -> None:
    """Raise InvalidInput where the margin is no number ≥ 0."""
    if not (is_real(given.margin) and math.isfinite(given.margin) and given.margin >= 0.0):
        raise InvalidInput(f"{type(given).__name__}(margin={given.margin!r}): γ is a number, at least 0.")
