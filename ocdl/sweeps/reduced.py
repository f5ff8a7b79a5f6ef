"""J as a function of controls and parameters alone, w = (p, u_0, …, u_{Q−1}), with the measure of function space.

    J(w), ∇J(w), and where the layers are dense also ∇²J(w) v and its Gauss–Newton part.

What a method on controls alone needs: it sees vectors, bounds and budgets, never a layer.
"""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.errors import NotSupported
from ocdl.statement.problem import ControlProblem
from ocdl.statement.spending import measure
from ocdl.sweeps.fused.dense_cost import Curved, DenseCost
from ocdl.sweeps.sweeper import Sweeper, SweepFailed

Array = NDArray[np.float64]


class ReducedCost:
    """J of one problem on one depth scheme; it counts its ``evaluations`` and keeps no point."""

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self.problem, self.depth = problem, depth
        self.sweeper = Sweeper(problem, depth)
        self.evaluations = 0

    def on_samples(self, rows: NDArray[np.intp]) -> ReducedCost:
        """The cost of some samples, by the same compiled functions."""
        other = copy(self)
        other.problem = self.problem.on_samples(rows)
        other.sweeper = self.sweeper.for_samples(other.problem)
        return other

    @property
    def size(self) -> int:
        return self.problem.P + self.depth.control_rows * self.problem.m

    def split(self, w: Array) -> tuple[Array, Array]:
        """Controls u (Q, m) and parameters p (P,)."""
        P = self.problem.P
        return w[P:].reshape(self.depth.control_rows, self.problem.m), w[:P]

    def join(self, u: Array, p: Array) -> Array:
        """w from u (Q, m) and p (P,)."""
        return np.concatenate([p, np.asarray(u).ravel()])

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of w."""
        low, high = self.problem.coefficient_box(self.depth)
        p_low, p_high = self.problem.parameter_box
        return self.join(low, p_low), self.join(high, p_high)

    @property
    def metric(self) -> Array:
        """Quadrature weights of w: the integrals of the controls' basis functions (h_k where constant in a layer)
        times the control metric, and the parameters' metric.
        """
        in_u = np.outer(measure(self.problem, self.depth), np.asarray(self.problem.control_metric))
        return self.join(in_u, np.asarray(self.problem.parameter_metric))

    def value(self, w: Array) -> float:
        """J(w); NaN where there is no finite state."""
        u, p = self.split(w)
        self.evaluations += 1
        try:
            with np.errstate(all="ignore"):
                dense = self.sweeper.dense_cost
                return float(self.sweeper.integral(u, p)[1]) if dense is None else dense.value(u, p)
        except SweepFailed:
            return float("nan")

    def value_and_gradient(self, w: Array) -> tuple[float, Array]:
        """J(w) and ∇J(w), Euclidean; NaN where there is no finite state."""
        u, p = self.split(w)
        self.evaluations += 1
        dense = self.sweeper.dense_cost
        try:
            with np.errstate(all="ignore"):
                if dense is not None:
                    found = dense.slopes(u, p)
                    return found.cost, self.join(found.u, found.p)
                trajectory, cost = self.sweeper.integral(u, p)
                adjoint = self.sweeper.costate(trajectory, u, p)
        except (SweepFailed, np.linalg.LinAlgError):
            return float("nan"), np.full(w.size, np.nan)
        return float(cost), self.join(adjoint.gradient_u, adjoint.gradient_p)

    def products(self, w: Array) -> Products:
        """Products with the Hessian at w. Raises NotSupported where the layers are not dense."""
        return Products(self, self._dense("products with the Hessian").curved(*self.split(w)))

    @property
    def has_products(self) -> bool:
        """Whether ``products`` are offered."""
        return self.sweeper.dense_cost is not None

    @property
    def has_rows(self) -> bool:
        """Whether ``rows`` are offered: the terminal loss is a sum of squares, too."""
        return self.sweeper.dense_cost is not None and self.sweeper.dense_cost.terminal.residuals

    def rows(self, w: Array) -> tuple[Array, Array]:
        """Residuals ρ (R,) and their Jacobian (R, size), where J = ½ |ρ|² + effort + penalty. Raises NotSupported."""
        found = self._squares().rows(*self.split(w))
        in_u = found.u.reshape(len(found.p), -1)
        return found.residuals, np.concatenate([found.p, in_u], axis=1) if self.problem.P else in_u

    def residuals(self, w: Array) -> Array:
        """ρ (R,) alone. Raises NotSupported."""
        with np.errstate(all="ignore"):
            return self._squares().residuals(*self.split(w))

    def _squares(self) -> DenseCost:
        dense = self._dense("residuals")
        if not self.has_rows:
            raise NotSupported("residuals: they are offered where the terminal loss is a sum of squares.")
        return dense

    def _dense(self, wanted: str) -> DenseCost:
        if self.sweeper.dense_cost is None:
            raise NotSupported(
                f"{wanted}: they are offered where the formulas show that the layers are dense, σ of something affine "
                "in the state, on explicit schemes, without running costs of the state."
            )
        return self.sweeper.dense_cost

    def states_as_far_as(self, w: Array) -> Array | None:
        """The states (k + 1, S, n) until a sweep from w is lost, or all; None where there are none."""
        try:
            return self.sweeper.state(*self.split(w)).x
        except SweepFailed as error:
            return error.states


class GradientCost(ReducedCost):
    """A cost made of another one, ``nominal``, by its compiled functions; it offers its gradient and no more."""

    def __init__(self, nominal: ReducedCost) -> None:
        vars(self).update(vars(nominal))
        self.nominal, self.evaluations = nominal, 0

    def value(self, w: Array) -> float:
        return self.value_and_gradient(w)[0]

    @property
    def has_products(self) -> bool:
        return False

    @property
    def has_rows(self) -> bool:
        return False


class Products:
    """∇²J and its Gauss–Newton part at one w, times vectors (size,)."""

    def __init__(self, cost: ReducedCost, curved: Curved) -> None:
        self.cost, self.curved = cost, curved

    def hessian(self, v: Array) -> Array:
        """∇²J v."""
        return self._product(v, gauss_newton=False)

    def gauss_newton(self, v: Array) -> Array:
        """What is left of ∇²J v without second derivatives of the layers; nowhere negative for convex losses."""
        return self._product(v, gauss_newton=True)

    def _product(self, v: Array, *, gauss_newton: bool) -> Array:
        return self.cost.join(*self.curved.product(*self.cost.split(v), gauss_newton=gauss_newton))
