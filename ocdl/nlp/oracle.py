"""The oracle of the reduced space: cost, gradient and exact Hessian as functions of controls and parameters alone.

    J(w), w = (p, u_0, ..., u_{N−1}):  state sweep, costate sweep, and the sweep's second order by sample condensing.

Backward, one n × n value Hessian a sample: P_k = Q_k + Φᵀ P_{k+1} Φ, R_k = S_k + Φᵀ P_{k+1} Γ. Forward, the skinny
stack G_k = ∂x_k/∂(p, u_0, ..., u_{k−1}), one row a control, one column a component of a sample. Then for l < k

    ∂²J/∂u_l ∂u_k = Σ_s G_lᵀ R_k,   ∂²J/∂u_k² = T_k + Σ_s Γᵀ P_{k+1} Γ:

one matrix product a layer, whatever the number of samples.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.nlp.curvature import Blocks, Curvature
from ocdl.solving.diagnosis import lost_along
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.fused.dense_cost import Curved
from ocdl.sweeps.sweeper import Adjoint, Sweeper, SweepFailed, Trajectory

Array = NDArray[np.float64]

PRODUCTS = 200  # with the Hessian for one Newton step, about
PASSES = 12  # multiplications of one product for every entry of W and every column of states


class Point:
    """One (u, p) with what has been computed there, each at most once."""

    def __init__(self, oracle: Oracle, u: Array, p: Array) -> None:
        self.oracle, self.u, self.p = oracle, u, p

    @cached_property
    def trajectory(self) -> Trajectory | None:
        """The states, or None where they blow up."""
        try:
            with np.errstate(all="ignore"):
                return self.oracle.sweeper.state(self.u, self.p)
        except SweepFailed:
            return None

    @cached_property
    def cost(self) -> float:
        """J, NaN where there is no state."""
        if self.trajectory is None:
            return np.nan
        return self.oracle.sweeper.cost(self.trajectory, self.u, self.p)

    @cached_property
    def adjoint(self) -> Adjoint | None:
        if self.trajectory is None:
            return None
        try:
            return self.oracle.sweeper.costate(self.trajectory, self.u, self.p)
        except np.linalg.LinAlgError:
            return None

    @cached_property
    def gradient(self) -> Array:
        """∂J/∂(p, u), (P + N m,)."""
        if self.adjoint is None:
            return np.full(self.oracle.size, np.nan)
        return np.concatenate([self.adjoint.gradient_p, self.adjoint.gradient_u.ravel()])

    @cached_property
    def products(self) -> Curved | None:
        """Products with the Hessian, where the layers are dense."""
        dense = self.oracle.sweeper.dense_cost
        return None if dense is None or self.trajectory is None else dense.curved(self.u, self.p)

    @cached_property
    def blocks(self) -> Blocks | None:
        if self.trajectory is None or self.adjoint is None:
            return None
        try:
            return self.oracle.curvature.blocks(self.trajectory, self.adjoint, self.u, self.p)
        except np.linalg.LinAlgError:
            return None

    @property
    def finite(self) -> bool:
        """Cost and gradient are numbers."""
        return bool(np.isfinite(self.cost)) and bool(np.all(np.isfinite(self.gradient)))

    @property
    def curved(self) -> bool:
        """So are the second derivatives, where they are in blocks."""
        return self.oracle.by_products or (self.blocks is not None and self.blocks.finite)

    @property
    def lost(self) -> str:
        """The formula, or derivative of one, that is not finite here; empty where none is found."""
        return "" if self.trajectory is None else lost_along(self.oracle.sweeper, self.trajectory, self.u, self.p)

    @cached_property
    def hessian(self) -> Array:
        """∂²J/∂(p, u)², (P + N m, P + N m)."""
        if self.blocks is None:
            return np.full((self.oracle.size, self.oracle.size), np.nan)
        return assembled(self.blocks, self.oracle.problem.m)


class Oracle:
    """J and its derivatives on one depth scheme, of w = (p, u) (P + N m,); the last point is kept."""

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self.problem, self.depth = problem, depth
        self.sweeper = Sweeper(problem, depth)
        self.curvature = Curvature(self.sweeper)
        self._at: tuple[Array, Point] | None = None

    @cached_property
    def by_products(self) -> bool:
        """Whether Newton's equation is better solved by products with the Hessian: dense layers, wide or of many
        samples, by the leading terms of the operation counts.
        """
        problem, N, s = self.problem, self.depth.count, self.depth.tableau.stages
        if self.sweeper.dense_cost is None:
            return False
        states, form = problem.samples * problem.n, self.sweeper.dense_cost.mesh.form
        assembled = self.size**2 * states + self.size**3 / 3
        riccati = N * (3 * states**2 * (problem.m + problem.P) + 2 * states * problem.m**2)
        return min(assembled, riccati) > PRODUCTS * PASSES * N * s * states * form.k

    @property
    def size(self) -> int:
        return self.problem.P + self.depth.count * self.problem.m

    def point(self, w: Array) -> Point:
        """What is known at w; the same object while w does not change."""
        if self._at is None or not np.array_equal(self._at[0], w):
            u, p = self.split(w)
            self._at = w.copy(), Point(self, u, p)
        return self._at[1]

    def split(self, w: Array) -> tuple[Array, Array]:
        """Controls u (N, m) and parameters p (P,)."""
        P = self.problem.P
        return w[P:].reshape(self.depth.count, self.problem.m).copy(), w[:P].copy()

    @cached_property
    def metric(self) -> Array:
        """Quadrature weights of w: h_k times the control metric, and the parameters' metric."""
        in_u = np.outer(self.sweeper.h, np.asarray(self.problem.control_metric))
        return self.join(in_u, np.asarray(self.problem.parameter_metric))

    def join(self, u: Array, p: Array) -> Array:
        """w from u (N, m), or one row (m,) for all layers, and p (P,)."""
        return np.concatenate([p, np.broadcast_to(u, (self.depth.count, self.problem.m)).ravel()])


def assembled(blocks: Blocks, m: int) -> Array:
    """The dense Hessian in w = (p, u_0, ..., u_{N−1})."""
    flow, state = _samples_last(blocks.flow), _samples_last(blocks.state)
    input_, cross = _samples_last(blocks.input), _samples_last(blocks.cross)
    N, n, q, S = input_.shape
    P = q - m
    # rows of controls first: (controls, n, S), so that controls × (n S) are matrices without copying
    input_, cross = (np.ascontiguousarray(part.swapaxes(1, 2)) for part in (input_, cross))
    diagonal = _backward(blocks, flow, input_, state, cross)
    hessian = np.zeros((P + N * m, P + N * m))
    stack = np.zeros((P + N * m, n, S))  # G
    hessian[:P, :P] = blocks.parameters
    for k in range(N):
        before, after = P + k * m, P + (k + 1) * m
        known = stack[:before]
        product = known.reshape(before, n * S) @ cross[k].reshape(q, n * S).T
        hessian[:before, before:after] = product[:, :m]
        hessian[before:after, before:after] = diagonal[k, :m, :m]
        hessian[:P, before:after] += diagonal[k, m:, :m]
        _add_parameters(hessian, product[:, m:], P)
        hessian[:P, :P] += diagonal[k, m:, m:]
        stack[:before] = np.einsum("abS,cbS->caS", flow[k], known)
        stack[:P] += input_[k, m:]
        stack[before:after] = input_[k, :m]
    end = np.ascontiguousarray(np.moveaxis(blocks.end_cross, 0, 2).swapaxes(0, 1))
    _add_parameters(hessian, stack.reshape(-1, n * S) @ end.reshape(P, n * S).T, P)
    lower = np.tril_indices_from(hessian, -1)
    hessian[lower] = hessian.T[lower]
    return hessian


def _backward(blocks: Blocks, flow: Array, input_: Array, state: Array, cross: Array) -> Array:
    """T + Σ_s Γᵀ P Γ (N, q, q); turns S into R = S + Φᵀ P Γ in place."""
    N, q, n, S = input_.shape
    diagonal = blocks.control.copy()
    value = _samples_last(blocks.end_state)
    for k in reversed(range(N)):
        carried = np.einsum("abS,cbS->caS", value, input_[k])
        diagonal[k] += input_[k].reshape(q, n * S) @ carried.reshape(q, n * S).T
        cross[k] += np.einsum("baS,cbS->caS", flow[k], carried)
        value = state[k] + np.einsum("baS,bcS->acS", flow[k], np.einsum("abS,bcS->acS", value, flow[k]))
    return diagonal


def _add_parameters(hessian: Array, product: Array, P: int) -> None:
    """Add (δw)ᵀ product δp, both ways, to the rows of p in the upper triangle."""
    rows = len(product)
    hessian[:P, P:rows] += product[P:].T
    hessian[:P, :P] += product[:P] + product[:P].T


def _samples_last(blocks: Array) -> Array:
    """(..., S, n, c) → (..., n, c, S), so that arithmetic runs along the samples."""
    return np.ascontiguousarray(np.moveaxis(blocks, -3, -1))
