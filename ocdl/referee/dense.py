"""The Hamiltonian of dense layers: every neuron sees the same features of the state, through weights of its own.

    φ_i = σ_i(x, p, z_i),   z_i = (e + E x)_i + Σ_l F_l(x) u_il,   F(x) = F⁰ + F¹ x,

so that, for all neurons and layers at once, value, gradient and Hessian are matrix products over the columns c,

    H_i = Σ_c Λ_ci φ_ci,   ∇H_i = Σ_c Λ_ci φ'_ci F_c,   ∇²H_i = Σ_c Λ_ci φ''_ci F_c F_cᵀ.

A layer σ(a − b(w∘f)) has F = (1, −w∘f), a layer σ(W x + b) has F = (x, 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.batch import Batch, Direct
from ocdl.once import once
from ocdl.referee.groups import AT_ONCE
from ocdl.referee.responses import HIGHEST, Responses, numeric_responses
from ocdl.referee.separated import SeparatedHamiltonian
from ocdl.statement.effort import effort_formula
from ocdl.statement.problem import ControlProblem
from ocdl.statement.structure import affine_in, kinked_in, quadratic_in

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

COLUMNS = 512  # evaluated in one call, or those of one layer where they are more
ENTRIES = 65_536  # of those columns: a call of wide layers takes fewer


@dataclass(frozen=True, eq=False)
class Features:
    """e (n,), E (n, n), F⁰ (size,) and F¹ (size, n)."""

    e: Array
    E: Array
    F0: Array
    F1: Array


class DenseHamiltonian(SeparatedHamiltonian):
    """H by neurons; ``dense`` says whether a problem has this form. Not for several threads at once."""

    def __init__(
        self,
        problem: ControlProblem,
        groups: Indices,
        affine: Features,
        numeric: Responses | None,
        compiled: dict[tuple[int, int], Direct],
    ) -> None:
        super().__init__(problem)
        self.groups, self.owner, self.affine = groups, np.arange(problem.n), affine
        self._numeric, self._compiled = numeric, compiled

    def derivatives(
        self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array
    ) -> tuple[Array, Array, Array]:
        features = self.features(x)
        rate, first, second = self.responses(x, p, self.lifted(x, u, features))
        value = np.sum(costate * rate, axis=1)
        slope = (costate * first).swapaxes(1, 2) @ features
        blocks = _in_parts(features, costate * second)
        if self.problem.effort is not None:
            effort = self.effort.derivatives(t, omega, u, p)
            value, slope, blocks = value + effort[0], slope + effort[1], blocks + effort[2]
        return value, slope, blocks

    def slopes(self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> tuple[Array, Array]:
        value, slope = self.of_rates(x, costate, u, p)
        if self.problem.effort is not None:
            effort = self.effort.slopes(t, omega, u, p)
            value, slope = value + effort[0], slope + effort[1]
        return value, slope

    def of_rates(self, x: Array, costate: Array, u: Array, p: Array) -> tuple[Array, Array]:
        """Σ_c Λ_ci φ_ci of every neuron (K, G) and its gradient (K, G, size): H without effort and running cost."""
        features = self.features(x)
        rate, first = self.responses(x, p, self.lifted(x, u, features), 1)
        return np.einsum("kci,kci->ki", costate, rate), (costate * first).swapaxes(1, 2) @ features

    def values(self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> Array:
        (rate,) = self.responses(x, p, self.lifted(x, u, self.features(x)), 0)
        value = np.einsum("kci,kci->ki", costate, rate)
        return value if self.problem.effort is None else value + self.effort.values(t, omega, u, p)

    @once
    def affine_in_u(self) -> bool:
        rate, z = self._rate
        return affine_in(rate, z) and self.effort.affine

    @once
    def quadratic(self) -> bool:
        rate, z = self._rate
        return quadratic_in(ca.sum1(rate), z) and self.effort.quadratic

    @once
    def kinked(self) -> bool:
        rate, z = self._rate
        return kinked_in(rate, z) or self.effort.kinked

    @once
    def _rate(self) -> tuple[Any, Any]:
        """φ as a function of z."""
        s, z = self.problem.symbols(), ca.SX.sym("z", self.problem.n)
        return self.problem.evaluate("dynamics", **{**s, "z": z}), z

    def copy(self) -> DenseHamiltonian:
        """The same with compiled functions of its own."""
        return DenseHamiltonian(self.problem, self.groups, self.affine, self._numeric, {})

    def layer_effort(self, t: Array, b: Array, u: Array, p: Array) -> tuple[float, Array]:
        """Σ_i b_i E(t_i, u) over the stages of one layer and its gradient (m,)."""
        if self.problem.effort is None:
            return 0.0, np.zeros(u.size)
        value, gradient = self._stage_efforts(t[None], b[None], u, p)
        return float(value[0]), gradient

    def layer_effort_hessian(self, t: Array, b: Array, u: Array, p: Array) -> Array:
        """The Hessian of the same, (m, m)."""
        if self.problem.effort is None:
            return np.zeros((u.size, u.size))
        return self._effort_hessians(t[None], b[None], u, p)[0].reshape(u.size, u.size)

    def features(self, x: Array) -> Array:
        """F (K, C, size) at states x (K, C, n)."""
        return (x.reshape(-1, x.shape[-1]) @ self._by_state + self.affine.F0).reshape(*x.shape[:-1], -1)

    def lifted(self, x: Array, u: Array, features: Array) -> Array:
        """z (K, C, n)."""
        z = features @ u.take(self.groups, axis=1).swapaxes(1, 2)
        if np.any(self.affine.E):
            z += x @ self.affine.E.T
        return z + self.affine.e if np.any(self.affine.e) else z

    def responses(self, x: Array, p: Array, z: Array, order: int = 2) -> list[Array]:
        """φ and its derivatives in z up to ``order``, each (K, C, n)."""
        if self._numeric is not None and order <= HIGHEST:
            return self._numeric(x, p, z, order)
        shape, n = z.shape, z.shape[-1]
        x, z = x.reshape(-1, n), z.reshape(-1, n)
        if shape[0] == 1:
            return [part.T.reshape(shape) for part in self._responses(shape[1], order)(x.T, p, z.T)]
        width = max(min(COLUMNS, ENTRIES // n), shape[1])
        found = [np.empty(z.shape) for _ in range(order + 1)]
        for begin in range(0, len(z), width):
            here, there = x[begin : begin + width], z[begin : begin + width]
            if (lacking := width - len(there)) > 0:  # the last block is filled up with its last column
                here, there = (np.concatenate([a, np.repeat(a[-1:], lacking, axis=0)]) for a in (here, there))
            for part, block in zip(found, self._responses(width, order)(here.T, p, there.T), strict=True):
                part[begin : begin + width] = block.T[: width - lacking]
        return [part.reshape(shape) for part in found]

    @cached_property
    def _by_state(self) -> Array:
        """F¹ᵀ as BLAS takes it fastest."""
        return np.ascontiguousarray(self.affine.F1.T)

    @cached_property
    def _stage_efforts(self) -> Batch:
        given, value, gradient = self._effort_formulas()
        return Batch(ca.Function("efforts", given, [value, gradient]), shared=(2, 3), summed=(0, 1))

    @cached_property
    def _effort_hessians(self) -> Batch:
        given, _, gradient = self._effort_formulas()
        hessian = ca.vec(ca.densify(ca.jacobian(gradient, given[2])))
        return Batch(ca.Function("effort_hessians", given, [hessian]), shared=(2, 3), summed=(0,))

    def _effort_formulas(self) -> tuple[list[Any], Any, Any]:
        """b E as a function of (t, b, u, p), and its gradient in u."""
        s, effort = effort_formula(self.problem)
        b = type(effort).sym("b")
        value = b * effort
        return [s["t"], b, s["u"], s["p"]], ca.densify(value), ca.densify(ca.gradient(value, s["u"]))

    def _responses(self, width: int, order: int) -> Direct:
        if (width, order) not in self._compiled:
            problem = self.problem
            x, z = (ca.MX.sym(name, problem.n, width) for name in "xz")
            p = ca.MX.sym("p", problem.P)
            parts = [ca.densify(problem.evaluate("dynamics", ca.MX, x=x, p=p, z=z, u=ca.MX.zeros(problem.m)))]
            for _ in range(order):
                parts.append(ca.densify(ca.gradient(ca.sum1(ca.sum2(parts[-1])), z)))
            self._compiled[width, order] = Direct(ca.Function("responses", [x, p, z], parts))
        return self._compiled[width, order]


def weighted(features: Array, weights: Array) -> Array:
    """weights_ci F_c, (..., n, C, size), of F (..., C, size) and weights (..., C, n)."""
    return weights.swapaxes(-1, -2)[..., None] * features[..., None, :, :]


def weighted_products(features: Array, weights: Array) -> Array:
    """Σ_c weights_ci F_c F_cᵀ, (..., n, size, size)."""
    return weighted(features, weights).swapaxes(-1, -2) @ features[..., None, :, :]


def _in_parts(features: Array, weights: Array) -> Array:
    """The same at many points (K, ...), a part of them at a time."""
    parts = max(1, min(len(features), features.size * weights.shape[-1] // AT_ONCE))
    pairs = zip(np.array_split(features, parts), np.array_split(weights, parts), strict=True)
    return np.concatenate([weighted_products(F, w) for F, w in pairs])


def dense(problem: ControlProblem) -> DenseHamiltonian | None:
    """H of the dense layers of ``problem``, or None where its layers are not."""
    form = problem.built.of("dense layers", lambda: _form(problem))
    return None if form is None else DenseHamiltonian(problem, *form)


def _form(
    problem: ControlProblem,
) -> tuple[Indices, Features, Responses | None, dict[tuple[int, int], Direct]] | None:
    """What the formulas say: controls and features of the neurons, their responses in numbers, and a place for compiled
    functions.
    """
    if problem.lift is None or not problem.columnwise or problem.lifted != problem.n or problem.m == 0:
        return None
    s, z = problem.symbols(), ca.SX.sym("z", problem.n)
    rate, running = problem.evaluate("dynamics", **{**s, "z": z}), ca.SX(problem.evaluate("running", **s))
    seen = np.array(ca.DM(ca.jacobian_sparsity(rate, z), 1).full()) > 0
    if ca.depends_on(rate, s["u"]) or ca.depends_on(running, s["u"]) or not np.array_equal(seen, np.eye(problem.n) > 0):
        return None
    groups = _groups(problem, s)
    affine = None if groups is None else _features(problem, s, groups)
    if groups is None or affine is None:
        return None
    generator = np.random.default_rng(0)
    u, p = generator.normal(size=problem.m), generator.normal(size=problem.P)
    W, v = affine.E + u[groups] @ affine.F1, affine.e + u[groups] @ affine.F0
    return groups, affine, numeric_responses(problem, W, v, u, p), {}


def _groups(problem: ControlProblem, s: dict[str, Any]) -> Indices | None:
    """The controls of every z_i, (n, size), or None where they are shared or meet in the effort."""
    lifted = problem.evaluate("lift", **s)
    neuron, control = (np.array(index, dtype=np.intp) for index in ca.jacobian_sparsity(lifted, s["u"]).get_triplet())
    if neuron.size != problem.m or np.unique(control).size != problem.m:
        return None
    if np.any(np.bincount(neuron, minlength=problem.n) * problem.n != problem.m):
        return None
    owner = np.empty(problem.m, dtype=np.intp)
    owner[control] = neuron
    of, effort = effort_formula(problem)
    pairs = ca.jacobian_sparsity(ca.gradient(effort, of["u"]), of["u"]).get_triplet()
    if np.any(owner[np.array(pairs[0], np.intp)] != owner[np.array(pairs[1], np.intp)]):
        return None
    return np.argsort(owner, kind="stable").reshape(problem.n, -1)


def _features(problem: ControlProblem, s: dict[str, Any], groups: Indices) -> Features | None:
    """The lift's constants, or None where it is not affine in u and in x, or the neurons' features differ.

    No control is in two neurons, so that the gradient of Σ_i z_i holds the features of all of them.
    """
    (n, size), no_x = groups.shape, ca.DM.zeros(problem.n)
    by_u = ca.densify(ca.gradient(ca.sum1(problem.evaluate("lift", **s)), s["u"])[groups.ravel().tolist()])
    if ca.depends_on(by_u, s["u"]):
        return None
    lifted = ca.SX(problem.evaluate("lift", **{**s, "u": ca.SX.zeros(problem.m)}))
    slopes = [ca.jacobian(part, s["x"]) for part in (lifted, by_u)]
    at_zero = [ca.substitute(part, s["x"], no_x) for part in (lifted, by_u)]
    if any(ca.symvar(part) for part in (*slopes, *at_zero)):
        return None
    e, F0 = (ca.evalf(ca.densify(part)).full() for part in at_zero)
    E, F1 = (_sparse(part) for part in slopes)
    first = F1[:size]
    if np.any(np.ptp(F0.reshape(n, size), axis=0)) or abs(F1 - scipy.sparse.vstack([first] * n)).max() > 0.0:
        return None
    return Features(e[:, 0], E.toarray(), F0[:size, 0], first.toarray())


def _sparse(constant: ca.SX) -> Any:
    """A matrix of numbers as scipy holds it."""
    return scipy.sparse.csr_array(ca.evalf(constant).sparse())
