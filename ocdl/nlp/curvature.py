"""Second derivatives of the discrete cost: layers condensed to their ends, sample by sample.

A layer maps x⁺ = F(x, w), w = (u_k, p). With the stages' sensitivities 𝒳_i = ∂X_i/∂x, 𝒰_i = ∂X_i/∂w from

    X_i' = x' + h Σ_j a_ij κ_j,   κ_j = φ_x X_j' + φ_w w',

and W = ∇²(⟨K_i, φ⟩ + h b_i ω L) at stage i, K_i the costate sweep's, the layer's part of the second variation is

    Q = Σ_i 𝒳ᵀ W_xx 𝒳,   S = Σ_i 𝒳ᵀ (W_xx 𝒰 + W_xw),   T = Σ_i 𝒰ᵀ W_xx 𝒰 + 𝒰ᵀ W_xw + W_wx 𝒰 + W_ww.

The costate sweep is the symplectic partner of the scheme, so these are the second derivatives of the discrete cost
itself. Source: Sanz-Serna, SIAM Review 58 (2016), section 3, differentiated once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch, evaluated
from ocdl.depth.schemes import DepthScheme
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Adjoint, Sweeper, Trajectory

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Every layer's Φ = ∂F/∂x and Q (N, S, n, n), Γ = ∂F/∂w and S = ``cross`` (N, S, n, m + P), T (N, m + P, m + P);
    the terminal loss's weighted ∂²/∂x² (S, n, n), ∂²/∂x∂p (S, n, P) and the Hessian of all that p meets alone (P, P).
    """

    flow: Array
    input: Array
    state: Array
    cross: Array
    control: Array
    end_state: Array
    end_cross: Array
    parameters: Array

    @staticmethod
    def memory(problem: ControlProblem, depth: DepthScheme) -> int:
        """Bytes held at once while they are computed, about."""
        S, n, q = problem.samples, problem.n, problem.m + problem.P
        return 8 * (5 * depth.tableau.stages + 4) * depth.count * S * n * (n + q)

    @property
    def finite(self) -> bool:
        return all(bool(np.all(np.isfinite(part))) for part in vars(self).values())


class Curvature:
    """The condensed layers of one problem on one depth scheme; build once, evaluate along many trajectories."""

    def __init__(self, sweeper: Sweeper) -> None:
        self.sweeper, self.problem, self.tableau = sweeper, sweeper.problem, sweeper.tableau

    def blocks(self, trajectory: Trajectory, adjoint: Adjoint, u: Array, p: Array) -> Blocks:
        """The second variation along ``trajectory`` and its costate."""
        rate_x, rate_w, xx, xw, ww = self._stages(trajectory, adjoint, u, p)
        flow, input_, by_x, by_w = self._sensitivities(rate_x, rate_w)
        state, cross, control = self._condensed(xx, xw, ww, by_x, by_w)
        control += self._effort(u, p)
        return Blocks(flow, input_, state, cross, control, *self._ends(trajectory, p))

    def _condensed(self, xx: Array, xw: Array, ww: Array, by_x: Array, by_w: Array) -> tuple[Array, Array, Array]:
        """Q, S and T; a first stage that is the layer's start has 𝒳 = I and 𝒰 = 0."""
        later = [i for i in range(self.tableau.stages) if np.any(self.tableau.A[i])]
        state, cross = np.zeros_like(xx[:, 0]), np.zeros_like(xw[:, 0])
        for i in set(range(self.tableau.stages)) - set(later):
            state, cross = state + xx[:, i], cross + xw[:, i]
        for i in later:
            curved = xx[:, i] @ by_w[:, i]
            transposed = by_x[:, i].swapaxes(-1, -2)
            state += transposed @ xx[:, i] @ by_x[:, i]
            cross += transposed @ (curved + xw[:, i])
            N, S, n, q = curved.shape
            curved *= 0.5
            curved += xw[:, i]
            half = by_w[:, i].reshape(N, S * n, q).swapaxes(1, 2) @ curved.reshape(N, S * n, q)
            ww += half + half.swapaxes(1, 2)
        return state, cross, ww

    def _stages(self, trajectory: Trajectory, adjoint: Adjoint, u: Array, p: Array) -> tuple[Array, ...]:
        """φ_x, φ_w, W_xx, W_xw at the stages, (N, s, S, n, ·), and W_ww summed over a layer's, (N, m + P, m + P)."""
        (N, s, S, n), q = trajectory.stages.shape, self.problem.m + self.problem.P
        h = self.sweeper.h
        t = np.repeat(self.sweeper.stage_t.ravel(), S)[None, :]
        data = np.tile(np.asarray(self.problem.data).T, (1, N * s))
        weights = (h[:, None] * self.tableau.b)[:, :, None] * np.asarray(self.problem.weights)
        flat = (t, trajectory.stages.reshape(-1, n).T, u.T, p, data, adjoint.weighted.reshape(-1, n).T)
        *parts, corner = self._second(*flat, weights.reshape(1, -1))
        shaped = [part.T.reshape(N, s, S, n, -1) for part in parts]
        ww = np.zeros((N, q, q))
        ww[:, self._corner[0], self._corner[1]] = corner.T
        ww[:, self._corner[1], self._corner[0]] = corner.T
        return (*shaped, ww)

    def _sensitivities(self, rate_x: Array, rate_w: Array) -> tuple[Array, Array, Array, Array]:
        """Φ, Γ (N, S, n, ·) and 𝒳, 𝒰 (N, s, S, n, ·)."""
        by_x, by_w = (self._explicit if self.tableau.explicit else self._implicit)(rate_x, rate_w)
        h, b = self.sweeper.h[:, None, None, None], self.tableau.b
        slope_x, slope_w = rate_x @ by_x, rate_w.copy()
        for i in np.flatnonzero(np.any(self.tableau.A, axis=1)):  # elsewhere 𝒰 = 0
            slope_w[:, i] += rate_x[:, i] @ by_w[:, i]
        flow = np.eye(self.problem.n) + h * np.einsum("i,ki...->k...", b, slope_x)
        return flow, h * np.einsum("i,ki...->k...", b, slope_w), by_x, by_w

    def _explicit(self, rate_x: Array, rate_w: Array) -> tuple[Array, Array]:
        """𝒳 and 𝒰, stage after stage."""
        N, s, S, n, q = rate_w.shape
        by_x, by_w = np.zeros((N, s, S, n, n)), np.zeros((N, s, S, n, q))
        by_x[:] = np.eye(n)
        for j in range(s - 1):  # what stage j gives to later ones
            later = [i for i in range(j + 1, s) if self.tableau.A[i, j]]
            if later:
                slope_x, slope_w = rate_x[:, j] @ by_x[:, j], rate_w[:, j] + rate_x[:, j] @ by_w[:, j]
            for i in later:
                step = self.tableau.A[i, j] * self.sweeper.h[:, None, None, None]
                by_x[:, i] += step * slope_x
                by_w[:, i] += step * slope_w
        return by_x, by_w

    def _implicit(self, rate_x: Array, rate_w: Array) -> tuple[Array, Array]:
        """(I − h A ⊗ φ_x) X' = 1 ⊗ x' + h (A ⊗ I) φ_w w', solved by the inverse of each sample's system."""
        N, s, S, n, q = rate_w.shape
        A, h = self.tableau.A, self.sweeper.h
        system = np.einsum("l,ij,ljSab->lSiajb", -h, A, rate_x).reshape(N, S, s * n, s * n)
        system += np.eye(s * n)
        inverse = np.linalg.inv(system).reshape(N, S, s * n, s, n)
        weighted = np.einsum("l,ji,lSrja->lSria", h, A, inverse).reshape(N, S, s * n, s * n)
        by_w = weighted @ rate_w.swapaxes(1, 2).reshape(N, S, s * n, q)
        by_x = inverse.sum(axis=3)
        return by_x.reshape(N, S, s, n, n).swapaxes(1, 2), by_w.reshape(N, S, s, n, q).swapaxes(1, 2)

    def _ends(self, trajectory: Trajectory, p: Array) -> tuple[Array, Array, Array]:
        n, S, omega = self.problem.n, trajectory.x.shape[1], np.asarray(self.problem.weights)
        xx, xp, pp = self._terminal(trajectory.x[-1].T, p, np.asarray(self.problem.data).T)
        P = self.problem.P
        alone = np.einsum("s,sab->ab", omega, pp.T.reshape(S, P, P)) + evaluated(self._penalty, p)[0]
        return omega[:, None, None] * xx.T.reshape(S, n, n), omega[:, None, None] * xp.T.reshape(S, n, P), alone

    def _effort(self, u: Array, p: Array) -> Array:
        if self.problem.effort is None:
            return np.zeros((1, 1, 1))
        (N, s), q = self.sweeper.stage_t.shape, self.problem.m + self.problem.P
        entries = self._effort_second(self.sweeper.stage_t.reshape(1, -1), u.T, p)[0].T.reshape(N, s, -1)
        summed = np.einsum("k,i,kie->ke", self.sweeper.h, self.tableau.b, entries)
        full = np.zeros((N, q, q))
        rows, columns = self._effort_places
        full[:, rows, columns] = summed
        full[:, columns, rows] = summed
        return full

    # -- the compiled pieces -----------------------------------------------------------------------

    @cached_property
    def _second(self) -> Batch:
        """(t, x, u, p, d, K, weight) → φ_x, φ_w, W_xx, W_xw row by row, and the entries of W_ww at ``_corner``."""
        return self._second_and_corner[0]

    @cached_property
    def _corner(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self._second_and_corner[1]

    @cached_property
    def _second_and_corner(self) -> tuple[Batch, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        s = self.problem.symbols()
        x, w = s["x"], ca.vertcat(s["u"], s["p"])
        K, weight = ca.SX.sym("K", self.problem.n), ca.SX.sym("weight")
        rate = self.problem.rate(*s.values())
        value = ca.dot(rate, K) + weight * self.problem.evaluate("running", **s)
        in_w = ca.gradient(value, w)
        whole = [ca.jacobian(rate, x), ca.jacobian(rate, w), ca.hessian(value, x)[0], ca.jacobian(in_w, x).T]
        entries, places = _upper(ca.jacobian(in_w, w, {"symmetric": True}))
        rows = [ca.vec(ca.densify(part).T) for part in whole]  # row by row
        function = ca.Function("second", [*s.values(), K, weight], [*rows, entries])
        return Batch(function, shared=(3,), summed=(4,), layered=(2,)), places

    @cached_property
    def _effort_both(self) -> tuple[Batch, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        s = self.problem.symbols()
        value = self.problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])
        entries, places = _upper(ca.hessian(value, ca.vertcat(s["u"], s["p"]))[0])
        return Batch(ca.Function("effort", [s["t"], s["u"], s["p"]], [entries]), shared=(2,), layered=(1,)), places

    @property
    def _effort_second(self) -> Batch:
        return self._effort_both[0]

    @property
    def _effort_places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self._effort_both[1]

    @cached_property
    def _terminal(self) -> Batch:
        """(x, p, d) → ℓ_xx, ℓ_xp, ℓ_pp row by row."""
        s = self.problem.symbols()
        x, p = s["x"], s["p"]
        loss = self.problem.evaluate("terminal", **{**s, "t": ca.SX(self.problem.span)})
        in_p = ca.gradient(loss, p)
        parts = [ca.hessian(loss, x)[0], ca.jacobian(in_p, x).T, ca.jacobian(in_p, p)]
        rows = [ca.vec(ca.densify(part).T) for part in parts]
        return Batch(ca.Function("terminal_second", [x, p, s["d"]], rows), shared=(1,))

    @cached_property
    def _penalty(self) -> ca.Function:
        p = ca.SX.sym("p", self.problem.P)
        return ca.Function("penalty", [p], [ca.densify(ca.hessian(self.problem.evaluate("penalty", p=p), p)[0])])


def _upper(hessian: ca.SX) -> tuple[ca.SX, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The upper triangle's entries that may be nonzero, and their places."""
    half = ca.triu(hessian)
    rows, columns = (np.array(part, dtype=np.int64) for part in half.sparsity().get_triplet())
    return ca.vertcat(ca.SX(0, 1), *half.nonzeros()), (rows, columns)
