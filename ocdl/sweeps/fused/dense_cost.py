"""The cost of dense layers and its derivatives in controls and parameters, one block of samples after the other.

    J(u, p) = Σ_s ω_s ℓ(x_s(T), p, d_s) + Σ_k h_k Σ_i b_i E(t_i, u_i, p) + P(p)

Nothing of a block outlives it but its sums, which are added up in the order of the blocks: memory does not grow with
the samples, and results are the same to the bit. Second derivatives keep the tapes where they fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.control_shapes import Basis
from ocdl.depth.schemes import Layers
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.fused import passes
from ocdl.sweeps.fused.efforts import Effort, Penalty, effort_form, penalty_form
from ocdl.sweeps.fused.form import DenseForm, LayerArrays, Terminal
from ocdl.sweeps.fused.recognise import dense_form
from ocdl.sweeps.fused.tape import DenseLayers, Tape, zeros
from ocdl.sweeps.fused.terminal import terminal_form

Array = NDArray[np.float64]

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


@dataclass(frozen=True, eq=False)
class DenseMesh:
    """Dense layers on the layers of a depth scheme: widths h (N,), stage depths t (N, s), weights h_k b_i (N·s,)."""

    form: DenseForm
    depth: Layers
    t: Array
    h: Array
    basis: Basis | None  # None: controls are constant in a layer

    @property
    def weights(self) -> Array:
        return (self.h[:, None] * self.depth.tableau.b).ravel()

    def rows(self, u: Array) -> Array:
        """The controls of the layers, or of the stages where they vary in a layer."""
        return u if self.basis is None else self.basis @ u

    def stages(self, u: Array) -> Array:
        """The controls at the stages, (N·s, m)."""
        return np.repeat(u, self.depth.tableau.stages, axis=0) if self.basis is None else self.basis @ u

    def gathered(self, slopes: Array) -> Array:
        """A gradient in ``rows``, pulled back to the coefficients u."""
        return slopes if self.basis is None else self.basis.gathered(slopes)

    def gathered_stages(self, slopes: Array) -> Array:
        """A gradient in ``stages``, likewise."""
        if self.basis is not None:
            return self.basis.gathered(slopes)
        return slopes.reshape(self.h.size, -1, slopes.shape[1]).sum(axis=1)

    def layers(self, u: Array, p: Array) -> DenseLayers:
        return DenseLayers(
            self.form.coefficients.arrays(self.rows(u), p), self.depth.tableau, self.h, self.form.activation
        )


def dense_mesh(problem: ControlProblem, depth: Layers, t: Array, h: Array, basis: Basis | None) -> DenseMesh | None:
    """The dense layers of a problem on a mesh, or None where its formulas or its scheme have none."""
    if not depth.tableau.explicit or problem.m + problem.P == 0:
        return None
    form = dense_form(problem)
    return None if form is None else DenseMesh(form, depth, t, h, basis)


class DenseCost:
    """J of a problem whose layers are dense, whose running cost does not depend on the state, and without measurements.

    It keeps functions, never a point.
    """

    def __init__(self, problem: ControlProblem, mesh: DenseMesh) -> None:
        self.problem, self.mesh = problem, mesh
        self.omega, self.data = np.asarray(problem.weights), np.asarray(problem.data)

    @cached_property
    def terminal(self) -> Terminal:
        return terminal_form(self.problem)

    @cached_property
    def effort(self) -> Effort | None:
        return None if self.problem.effort is None else effort_form(self.problem)

    @cached_property
    def penalty(self) -> Penalty | None:
        return None if self.problem.penalty is None else penalty_form(self.problem)

    def value(self, u: Array, p: Array) -> float:
        """J."""
        layers, total, tape = self.mesh.layers(u, p), 0.0, None
        for block in self.blocks(layers):
            tape = passes.forward(layers, self._initial(p, block), reuse=tape)
            total += self.terminal.value(tape.x_N, p, self.data[block], self.omega[block])
        return total + self._shared(u, p).cost

    def slopes(self, u: Array, p: Array) -> Slopes:
        """J and ∇J."""
        layers, tape = self.mesh.layers(u, p), None
        total, sums, in_p = 0.0, zeros(layers.arrays), np.zeros(p.size)
        for block in self.blocks(layers):
            tape = passes.forward(layers, self._initial(p, block), reuse=tape)
            cost, p_N, by_p = self.terminal.slopes(tape.x_N, p, self.data[block], self.omega[block])
            back = passes.backward(tape, p_N)
            total += cost
            in_p += by_p
            self._add_free(in_p, back.p_0, block)
            add(sums, back.arrays)
        shared, (in_u, in_p) = self._shared(u, p), self._pulled(u, p, sums, in_p)
        return Slopes(total + shared.cost, in_u + shared.u, in_p + shared.p)

    def residuals(self, u: Array, p: Array) -> Array:
        """ρ (R,) of ``rows``."""
        layers, found, tape = self.mesh.layers(u, p), [], None
        for block in self.blocks(layers):
            tape = passes.forward(layers, self._initial(p, block), reuse=tape)
            rho, _, _ = self.terminal.rows(tape.x_N, p, self.data[block], self.omega[block])
            found.append(rho.T.ravel())
        return np.concatenate(found)

    def rows(self, u: Array, p: Array) -> Rows:
        """Residuals and their Jacobian, where the terminal loss is a sum of squares (``terminal.residuals``)."""
        layers, found = self.mesh.layers(u, p), []
        for block in self.blocks(layers):
            tape = passes.forward(layers, self._initial(p, block))
            rho, in_x, in_p = self.terminal.rows(tape.x_N, p, self.data[block], self.omega[block])
            by_u, by_p = self._row_slopes(u, p, passes.rows(tape, in_x))
            by_p += in_p.swapaxes(0, 1).reshape(rho.size, p.size)
            found.append((rho.T.ravel(), by_u, by_p))
        return Rows(*found[0]) if len(found) == 1 else Rows(*map(np.concatenate, zip(*found, strict=True)))

    def curved(self, u: Array, p: Array) -> Curved:
        """What products with the Hessian at (u, p) need."""
        return Curved(self, u, p)

    # -- pieces ----------------------------------------------------------------------------------------

    def blocks(self, layers: DenseLayers) -> Iterator[slice]:
        """The samples, cut so that a tape stays in the cache."""
        S, size = self.omega.size, passes.block_size(layers)
        return (slice(begin, min(begin + size, S)) for begin in range(0, S, size))

    def _initial(self, p: Array, block: slice) -> Array:
        return self.problem.x0[block] if not self.problem.free_initial else self.problem.initial_states(p)[block]

    def _add_free(self, in_p: Array, p_0: Array, block: slice) -> None:
        """Add the costates of the initial states that are free, parameters of single samples."""
        for k, (sample, i) in enumerate(self.problem.free_initial, start=self.problem.own_parameters):
            if block.start <= sample < block.stop:
                in_p[k] += p_0[sample - block.start, i]

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
        self.cost, self.u, self.p = cost, u, p
        self.layers = cost.mesh.layers(u, p)
        N, s = self.layers.row.shape
        self.keeps = cost.omega.size * N * s * (self.layers.n + 2 * self.layers.k) <= TAPES
        self._tapes: list[Tape] = []

    def product(self, du: Array, dp: Array, *, gauss_newton: bool = False) -> tuple[Array, Array]:
        """∇²J (du, dp): (Q, m) and (P,). The Gauss–Newton part holds effort and penalty in full."""
        cost, p = self.cost, self.p
        coefficients, rows = cost.mesh.form.coefficients, cost.mesh.rows(self.u)
        moved = coefficients.tangent(rows, p, cost.mesh.rows(du), dp)
        sums, in_p = zeros(self.layers.arrays), np.zeros(p.size)
        first = zeros(self.layers.arrays) if not (coefficients.linear or gauss_newton) else None
        for block, tape in self._taped():
            d, omega = cost.data[block], cost.omega[block]
            along = passes.tangent(tape, moved, self._moved_initial(dp, block))
            dp_N, by_p = cost.terminal.products(tape.x_N, p, d, omega, along.dx_N, dp, gauss_newton=gauss_newton)
            p_N = cost.terminal.slopes(tape.x_N, p, d, omega)[1]
            back = passes.second_backward(tape, along, p_N, dp_N, gauss_newton=gauss_newton)
            in_p += by_p
            cost._add_free(in_p, back.p_0, block)
            add(sums, back.arrays)
            if first is not None:
                add(first, passes.backward(tape, p_N).arrays)
        by_u, by_p = coefficients.pulled_back(rows, p, sums)
        if first is not None:
            bent = coefficients.curved(rows, p, first, cost.mesh.rows(du), dp)
            by_u, by_p = by_u + bent[0], by_p + bent[1]
        return self._with_shared(cost.mesh.gathered(by_u), in_p + by_p, du, dp)

    def _taped(self) -> Iterator[tuple[slice, Tape]]:
        """The tape of every block, kept where all together are small."""
        tape = None
        for i, block in enumerate(self.cost.blocks(self.layers)):
            if i < len(self._tapes):
                yield block, self._tapes[i]
                continue
            reuse = None if self.keeps else tape
            tape = passes.forward(self.layers, self.cost._initial(self.p, block), reuse=reuse)
            if self.keeps:
                self._tapes.append(tape)
            yield block, tape

    def _moved_initial(self, dp: Array, block: slice) -> Array | None:
        problem = self.cost.problem
        if not problem.free_initial:
            return None
        moved = np.zeros((self.cost.omega.size, problem.n))
        for k, place in enumerate(problem.free_initial, start=problem.own_parameters):
            moved[place] = dp[k]
        return moved[block]

    def _with_shared(self, in_u: Array, in_p: Array, du: Array, dp: Array) -> tuple[Array, Array]:
        cost, mesh = self.cost, self.cost.mesh
        if cost.effort is not None:
            given = mesh.t.ravel(), mesh.stages(self.u), self.p, mesh.weights
            by_stage, by_p = cost.effort.products(*given, mesh.stages(du), dp)
            in_u, in_p = in_u + mesh.gathered_stages(by_stage), in_p + by_p
        return in_u, in_p if cost.penalty is None else in_p + cost.penalty.products(self.p, dp)


def add(sums: LayerArrays, more: LayerArrays) -> None:
    """sums += more, entry by entry."""
    for one, other in zip(sums, more, strict=True):
        if one is not None and other is not None:
            one += other
