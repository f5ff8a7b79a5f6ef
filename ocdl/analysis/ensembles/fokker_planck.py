"""The Fokker–Planck equation of dX = b(X) dt + √(2 D(X)) dW (Itô), D diagonal, in one or two dimensions.

    ∂t ρ = −∇·J,  J_i = b_i ρ − ∂_i(D_i ρ),  no current through the boundary of the box.

Scharfetter and Gummel's finite volumes: between the cells L and R across an axis, with w = D ρ,

    J = [B(−q) w_L − B(q) w_R]/h,   B(z) = z/(eᶻ − 1),   q = h b/D;  of b = −∇Φ and D = β⁻¹, q = −β(Φ_R − Φ_L),

so that Gibbs's density e^{−βΦ}/Z at the centres is stationary exactly. Masses obey ṁ = A m, where A has columns of sum
0 and no negative entry off its diagonal; implicit Euler steps (I − hA)⁻¹ are thus kernels of a Markov chain, which
conserve mass and sign for any step, and lower the relative entropy to what is stationary. Order 1 in time, 2 in space.

The free energy F = ∫ (Φ + β⁻¹ log ρ) ρ falls to −β⁻¹ log Z (the review has zero, which is that of a normalised
potential); F − F_min = β⁻¹ ∫ ρ log(ρ/ρ_G).
Sources: Liu and Theodorou (2019), "Deep learning theory review", theorem 3; Scharfetter and Gummel (1969); Chang and
Cooper (1970); Jordan, Kinderlehrer and Otto (1998).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy

from ocdl.analysis.ensembles.cells import Cells
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.arrays import Array, finite_array, is_real, is_whole
from ocdl.errors import InvalidInput, NotSupported

Given = Callable[[Array], Any] | Any
ROUNDING = 1e-11


@dataclass(frozen=True, eq=False)
class FokkerPlanck:
    """The equation on ``cells``: ``peclet`` q on the inner faces across every axis, ``diffusion`` D_i at the centres.

    energy: βΦ at the centres, where the drift is that of a potential; ``beta``: β there.
    """

    cells: Cells
    peclet: tuple[Array, ...]
    diffusion: tuple[Array, ...]
    energy: Array | None = None
    beta: float = 1.0

    @classmethod
    def langevin(cls, potential: Callable[[Array], Any], beta: float, cells: Cells) -> FokkerPlanck:
        """dX = −∇Φ(X) dt + √(2β⁻¹) dW. potential: Φ, of points (K, d), (K,)."""
        _positive("FokkerPlanck.langevin(beta)", beta)
        energy = beta * cells.values("potential", potential, cells.centres)
        diffusion = np.full(cells.count, 1.0 / beta)
        peclet = tuple(-np.diff(energy, axis=i) for i in range(cells.dimensions))
        return cls(cells, peclet, (diffusion,) * cells.dimensions, energy, float(beta))

    @classmethod
    def of(cls, drift: Given, diffusion: Given, cells: Cells) -> FokkerPlanck:
        """Any drift b, of points (K, d), (K, d), and diffusions D_i > 0 along the axes, ½(σσᵀ)_ii, shaped alike."""
        d = cells.dimensions
        D = cells.values("diffusion", diffusion, cells.centres, d)
        peclet = []
        for i, h in enumerate(cells.widths):
            faces = cells.faces(i)
            b, there = (cells.values(n, g, faces, d)[..., i] for n, g in (("drift", drift), ("diffusion", diffusion)))
            if min(D.min(), there.min()) <= 0.0:
                raise InvalidInput(f"diffusion: positive values are needed; got {min(D.min(), there.min()):g}.")
            peclet.append(h * b / there)
        return cls(cells, tuple(peclet), tuple(np.moveaxis(D, -1, 0)))

    @cached_property
    def generator(self) -> Any:
        """A, sparse, of masses in the order of ``ravel``."""
        size = int(np.prod(self.cells.count))
        index = np.arange(size).reshape(self.cells.count)
        A = scipy.sparse.csr_matrix((size, size))
        for i in range(self.cells.dimensions):
            left, right, out, back = (np.ravel(v) for v in (*self.cells.sides(index, i), *self._rates(i)))
            flow = scipy.sparse.coo_matrix(
                (
                    np.concatenate([-out, out, back, -back]),
                    (np.concatenate([left, right, left, right]), np.concatenate([left, left, right, right])),
                ),
                shape=(size, size),
            )
            A = A + flow.tocsr()
        return A

    def current(self, density: Array) -> tuple[Array, ...]:
        """J_i on the inner faces across every axis."""
        J = []
        for i, h in enumerate(self.cells.widths):
            (left, right), (out, back) = self.cells.sides(density, i), self._rates(i)
            J.append(h * (out * left - back * right))
        return tuple(J)

    @cached_property
    def gibbs(self) -> Array:
        """e^{−βΦ}/Z at the centres."""
        if self.energy is None:
            raise NotSupported("gibbs: a drift that is given by a potential is needed; ask for ``stationary``.")
        weight = np.exp(self.energy.min() - self.energy)
        return np.asarray(weight / (weight.sum() * self.cells.volume))

    @cached_property
    def stationary(self) -> Array:
        """The density that stays as it is, by A m = 0 and Σ m = 1."""
        A = self.generator.tolil()
        A[0, :] = 1.0
        unit = np.zeros(A.shape[0])
        unit[0] = 1.0
        mass = scipy.sparse.linalg.spsolve(A.tocsc(), unit)
        return np.asarray(mass.reshape(self.cells.count) / self.cells.volume)

    @cached_property
    def gap(self) -> float:
        """λ₁, the smallest rate but 0 at which a density of a potential approaches Gibbs's."""
        root = np.sqrt(self.gibbs.ravel())
        S = scipy.sparse.diags(1.0 / root) @ -self.generator @ scipy.sparse.diags(root)
        scale = float(S.diagonal().max())
        ends = scipy.sparse.linalg.eigsh(0.5 * (S + S.T).tocsc(), k=2, sigma=-1e-9 * scale, return_eigenvectors=False)
        return float(ends.max())

    def free_energy(self, density: Array) -> Array:
        """F of densities (..., *count)."""
        if self.energy is None:
            raise NotSupported("free_energy: a drift that is given by a potential is needed.")
        own = scipy.special.xlogy(density, density) + self.energy * density
        return np.asarray(own.sum(axis=tuple(range(-self.cells.dimensions, 0))) * self.cells.volume / self.beta)

    def evolve(self, initial: Callable[[Array], Any] | Any, horizon: float, steps: int) -> Ensemble:
        """The densities at steps + 1 equidistant times, from ρ_0 (of points, or on cells), which is normalised."""
        _positive("evolve(horizon)", horizon)
        if not is_whole(steps) or steps < 1:
            raise InvalidInput(f"evolve(steps={steps!r}): a whole number, at least 1, is needed.")
        rho = (
            self.cells.values("initial", initial, self.cells.centres)
            if callable(initial)
            else finite_array("initial", initial)
        )
        if rho.shape != self.cells.count or rho.min() < 0.0 or rho.sum() == 0.0:
            raise InvalidInput(f"initial: a density on {self.cells.count} cells, nowhere negative, is needed.")
        h, A = horizon / steps, self.generator
        solve = scipy.sparse.linalg.splu((scipy.sparse.identity(A.shape[0]) - h * A).tocsc())
        mass = [rho.ravel() / rho.sum()]
        for _ in range(steps):
            after = solve.solve(mass[-1])
            mass.append(after / after.sum())  # 1 but for rounding, which grows with h‖A‖
        density = np.stack(mass).reshape(-1, *self.cells.count) / self.cells.volume
        return Ensemble(self, np.linspace(0.0, horizon, steps + 1), density)

    def _rates(self, axis: int) -> tuple[Array, Array]:
        """Of mass from left to right, and back, a unit of time."""
        q, h = self.peclet[axis], self.cells.widths[axis]
        left, right = self.cells.sides(self.diffusion[axis], axis)
        return left * _bernoulli(-q) / h**2, right * _bernoulli(q) / h**2


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Densities ρ (K, *count) at times t (K,) of an equation."""

    equation: FokkerPlanck
    t: Array
    density: Array

    @property
    def mass(self) -> Array:
        """∫ ρ dx, (K,)."""
        return np.asarray(self.density.reshape(len(self.t), -1).sum(axis=1) * self.equation.cells.volume)

    @property
    def distance(self) -> Array:
        """‖ρ/ρ_G − 1‖ in L²(ρ_G), (K,)."""
        gibbs = self.equation.gibbs
        off = (self.density - gibbs) ** 2 / gibbs
        return np.asarray(np.sqrt(off.reshape(len(self.t), -1).sum(axis=1) * self.equation.cells.volume))

    def free_energy_falls(self) -> Finding:
        """Jordan, Kinderlehrer and Otto: F falls at every step, as far as rounding lets it."""
        F = self.equation.free_energy(self.density)
        least = float(self.equation.free_energy(self.equation.gibbs))
        slack = ROUNDING * (1.0 + float(np.abs(F).max()))
        return Finding(
            "The free energy falls along the Fokker–Planck equation (Jordan, Kinderlehrer and Otto, 1998)",
            (
                Hypothesis("ρ ≥ 0", float(self.density.min()), slack=ROUNDING * float(self.density.max())),
                Hypothesis("∫ρ = 1", -float(np.abs(self.mass - 1.0).max()), slack=ROUNDING * len(self.t)),
                Hypothesis("F falls from step to step", float(-np.diff(F).max()), slack=slack),
            ),
            f"F falls from {F[0]:.8g} to {F[-1]:.8g}, and its minimum, at Gibbs's density, is {least:.8g}.",
        )

    def approaches_at_gap(self) -> Finding:
        """‖ρ/ρ_G − 1‖ falls by at least 1/(1 + λ₁ h) in every implicit step, e^{−λ₁ h} to first order."""
        distance, rate, h = self.distance, self.equation.gap, float(self.t[1] - self.t[0])
        slack = 1e-8 * float(distance[0])
        bound = distance[0] / (1.0 + rate * h) ** np.arange(len(self.t))
        return Finding(
            "Poincaré's inequality: densities approach Gibbs's at the spectral gap",
            (
                Hypothesis("λ₁ > 0", rate, np.finfo(float).tiny),
                Hypothesis("distance ≤ distance(0)/(1 + λ₁h)^k", float((bound - distance).min()), slack=slack),
            ),
            f"the distance falls from {distance[0]:.4g} to {distance[-1]:.4g}, at least at the rate λ₁ = {rate:.8g}.",
        )


def _bernoulli(z: Array) -> Array:
    """z/(eᶻ − 1), 1 at 0."""
    return np.asarray(1.0 / scipy.special.exprel(np.minimum(z, 700.0)))


def _positive(name: str, value: Any) -> None:
    if not is_real(value) or not 0.0 < value < np.inf:
        raise InvalidInput(f"{name}: a positive number is needed; got {value!r}.")
