"""The cost of dense layers and its derivatives in controls and parameters, block by block of the samples.

    J(u, p) = Σ_s ω_s ℓ(x_s(T), p, d_s) + Σ_k h_k Σ_i b_i E(t_i, u_i, p) + P(p)

Nothing of a block outlives it but its sums, which are added up in one order (``work``): memory does not grow with the
samples, and results are the same to the bit wherever blocks are worked on. Second derivatives keep tapes that fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.fused import passes
from ocdl.sweeps.fused.efforts import Effort, Penalty, effort_form, penalty_form
from ocdl.sweeps.fused.form import LayerArrays, Terminal
from ocdl.sweeps.fused.mesh import DenseMesh
from ocdl.sweeps.fused.samples import Samples
from ocdl.sweeps.fused.spread import place
from ocdl.sweeps.fused.tape import Tape
from ocdl.sweeps.fused.work import Gradient, Part, Product, Value, Work

Array = NDArray[np.float64]
T = TypeVar("T")

TAPES = 30_000_000  # numbers of tapes that are kept for products with the Hessian


class Slopes(NamedTuple):
    """J and its gradients in u (Q, m) and p (P,)."""

    cost: float
    u: Array
    p: Array


class Rows(NamedTuple):
    """Residuals ρ (R,) with Σ_s ω_s ℓ_s = ½ |ρ|², and their derivatives in u (R, Q, m) and p (R, P)."""

    residuals: Array
    u: Array
    p: Array


class DenseCost:
    """J of a problem whose layers are dense, whose running cost does not depend on the state, and without measurements.

    It keeps functions, never a point.
    """

    def __init__(self, problem: ControlProblem, mesh: DenseMesh) -> None:
        self.problem, self.mesh, self.samples = problem, mesh, Samples.of(problem)

    @property
    def terminal(self) -> Terminal:
        return self.samples.terminal

    @cached_property
    def effort(self) -> Effort | None:
        return None if self.problem.effort is None else effort_form(self.problem)

    @cached_property
    def penalty(self) -> Penalty | None:
        return None if self.problem.penalty is None else penalty_form(self.problem)

    def value(self, u: Array, p: Array) -> float:
        """J."""
        (total,) = self._summed(Value(u, p))
        return float(total + self._shared(u, p).cost)

    def slopes(self, u: Array, p: Array) -> Slopes:
        """J and ∇J."""
        total, in_p, *sums = self._summed(Gradient(u, p))
        shared, (in_u, in_p) = self._shared(u, p), self._pulled(u, p, LayerArrays(*sums), in_p)
        return Slopes(float(total + shared.cost), in_u + shared.u, in_p + shared.p)

    def residuals(self, u: Array, p: Array) -> Array:
        """ρ (R,) of ``rows``."""
        layers, samples, terminal = self.mesh.layers(u, p), self.samples, self.terminal

        def part(block: slice) -> Array:
            tape = passes.forward(layers, samples.initial(p, block))
            return np.asarray(terminal.rows(tape.x_N, p, samples.d[block], samples.omega[block])[0].T.ravel())

        return np.concatenate(list(self._parts(part)))

    def rows(self, u: Array, p: Array) -> Rows:
        """Residuals and their Jacobian, where the terminal loss is a sum of squares (``terminal.residuals``)."""
        layers, samples, terminal = self.mesh.layers(u, p), self.samples, self.terminal

        def part(block: slice) -> tuple[Array, Array, Array]:
            tape = passes.forward(layers, samples.initial(p, block))
            rho, in_x, in_p = terminal.rows(tape.x_N, p, samples.d[block], samples.omega[block])
            by_u, by_p = self._row_slopes(u, p, passes.rows(tape, in_x))
            by_p += in_p.swapaxes(0, 1).reshape(rho.size, p.size)
            return rho.T.ravel(), by_u, by_p

        found = list(self._parts(part))
        return Rows(*found[0]) if len(found) == 1 else Rows(*map(np.concatenate, zip(*found, strict=True)))

    def curved(self, u: Array, p: Array) -> Curved:
        """What products with the Hessian at (u, p) need."""
        return Curved(self, u, p)

    # -- pieces ----------------------------------------------------------------------------------------

    def _summed(self, work: Work) -> Part:
        """What ``work`` sums over the samples, wherever they are worked on now."""
        return place().summed(work, self.mesh, self.samples)

    def _parts(self, part: Callable[[slice], T]) -> Iterator[T]:
        """The parts of all blocks in their order, in this process."""
        return place().parts(part, list(self.samples.blocks(self.mesh.block_size)))

    def _pulled(self, u: Array, p: Array, sums: LayerArrays, in_p: Array) -> tuple[Array, Array]:
        by_u, by_p = self.mesh.form.coefficients.pulled_back(self.mesh.rows(u), p, sums)
        return self.mesh.gathered(by_u), in_p + by_p

    def _row_slopes(self, u: Array, p: Array, slopes: LayerArrays) -> tuple[Array, Array]:
        """Rows of Jacobians by Θ, with (K, S) at their ends, as those by u (K·S, Q, m) and p (K·S, P)."""
        flat = LayerArrays(*(None if e is None else e.reshape(*e.shape[:-2], -1) for e in slopes))  # type: ignore[arg-type]
        in_rows, in_p = self.mesh.form.coefficients.rows_pulled_back(self.mesh.rows(u), p, flat)
        if self.mesh.basis is None:
            return in_rows, in_p
        return np.array([self.mesh.gathered(row) for row in in_rows]), in_p

    def _shared(self, u: Array, p: Array) -> Slopes:
        """Effort and penalty, which do not depend on the samples."""
        total, in_u, in_p, mesh = 0.0, np.zeros(u.shape), np.zeros(p.size), self.mesh
        if self.effort is not None:
            total, by_stage, in_p = self.effort.slopes(mesh.t.ravel(), mesh.stages(u), p, mesh.weights)
            in_u = mesh.gathered_stages(by_stage)
        if self.penalty is not None:
            cost, by_p = self.penalty.slopes(p)
            total, in_p = total + cost, in_p + by_p
        return Slopes(total, in_u, in_p)


class Curved:
    """The second derivatives of J at one (u, p): products with the Hessian, or with its Gauss–Newton part."""

    def __init__(self, cost: DenseCost, u: Array, p: Array) -> None:
        self.cost, self.u, self.p, mesh = cost, u, p, cost.mesh
        N, s = mesh.h.size, mesh.depth.tableau.stages
        keeps = cost.samples.omega.size * N * s * (mesh.form.n + 2 * mesh.form.k) <= TAPES
        self._tapes: dict[int, Tape] | None = {} if keeps else None

    def product(self, du: Array, dp: Array, *, gauss_newton: bool = False) -> tuple[Array, Array]:
        """∇²J (du, dp): (Q, m) and (P,). The Gauss–Newton part holds effort and penalty in full."""
        cost, mesh = self.cost, self.cost.mesh
        in_p, *sums = cost._summed(Product(self.u, self.p, du, dp, gauss_newton, self._tapes))
        size = len(LayerArrays._fields)
        by_u, by_p = mesh.form.coefficients.pulled_back(mesh.rows(self.u), self.p, LayerArrays(*sums[:size]))
        if sums[size:]:
            first, moved = LayerArrays(*sums[size:]), mesh.rows(du)
            bent = mesh.form.coefficients.curved(mesh.rows(self.u), self.p, first, moved, dp)
            by_u, by_p = by_u + bent[0], by_p + bent[1]
        return self._with_shared(mesh.gathered(by_u), in_p + by_p, du, dp)

    def _with_shared(self, in_u: Array, in_p: Array, du: Array, dp: Array) -> tuple[Array, Array]:
        cost, mesh = self.cost, self.cost.mesh
        if cost.effort is not None:
            given = mesh.t.ravel(), mesh.stages(self.u), self.p, mesh.weights
            by_stage, by_p = cost.effort.products(*given, mesh.stages(du), dp)
            in_u, in_p = in_u + mesh.gathered_stages(by_stage), in_p + by_p
        return in_u, in_p if cost.penalty is None else in_p + cost.penalty.products(self.p, dp)
