"""The function-space form of training: functions that are carried, and densities that are their costates, on cells.

A flow ẋ = f(x, θ_t), 0 ≤ t ≤ T, carries F_0 to the approximator w(0, x) = F_0(x(T)), x(0) = x. In the flow's own depth

    w_t = −f·∇w,  w(T) = F_0,   and the costate   v_t = −∇·(f v),  v(0) = D Φ = (w(0) − F) ρ,

of Φ = ½ ∫ (w(0) − F)² ρ dx, which is minimised. Li et al. print (13), u_t = f(x, θ_t)·∇u, u(0) = F_0, forward: that is
w backward, u(t) = w(T − t), so that θ in their order is the flow's layers in reverse: the u of layers θ_1, …, θ_N is
F_0 of the flow that goes through θ_N first. Their equation of v has the sign of the flow's depth; in u's it is
v_t = +∇·(f v), for only then ⟨u, v⟩ is constant. Their v is −v, as they maximise H.

    H(t, w, v, θ) = ∫ v f(x, θ)·∇w dx,   ∂Φ/∂θ_k = ∫_layer k ∂_θ H dt.

Between the cells L and R the flux is f ½(v_L + v_R); w has the transposed equation, and both are stepped by the
polynomial of Kutta's method of order 4, so that ∫ v dx and ⟨w, v⟩ are constant to rounding, and all is of order 2 in
the cells. No flux crosses the boundary: the box must hold what ρ and its flow see.
Source: Li et al., "Maximum principle based algorithms for deep learning", appendix A.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
import scipy

from ocdl.analysis.ensembles.cells import Cells
from ocdl.arrays import Array, finite_array
from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.statement.problem import ControlProblem

COURANT = 1.0  # of a step; Kutta's method takes imaginary eigenvalues up to 2.8
KUTTA = (1.0, 1.0 / 2.0, 1.0 / 3.0, 1.0 / 4.0)  # I + hA(I + hA/2(I + …))


@dataclass(frozen=True, eq=False)
class Liouville:
    """The module's equations for the dynamics of ``problem``, one sample's, with controls constant in each layer of
    ``depth``. readout: F_0, target: F, density: ρ, functions of points (K, d), (K,). Running costs, effort and penalty
    are not looked at. Raises NotSupported for dynamics of t or of data.
    """

    problem: ControlProblem
    depth: DepthScheme
    cells: Cells
    readout: Callable[[Array], Any]
    target: Callable[[Array], Any]
    density: Callable[[Array], Any]

    def __post_init__(self) -> None:
        s = self.problem.symbols()
        rate = self.problem.evaluate("dynamics", **s)
        if any(ca.depends_on(rate, ca.vertcat(s[name])) for name in ("t", "d") if s[name].numel()):
            raise NotSupported("Liouville: dynamics of x, u and p alone are needed; these depend on t or d.")
        if self.problem.n != self.cells.dimensions:
            raise InvalidInput(f"Liouville: {self.cells.dimensions} axes of cells for {self.problem.n} states.")
        if not isinstance(self.depth.controls, PiecewiseConstant):
            raise NotSupported(f"Liouville: controls constant in a layer are needed, not {self.depth.controls}.")

    def evolve(self, u: Any, p: Any = ()) -> Carried:
        """w and v of controls (N, m) and parameters (P,), at steps that are as short as the cells ask."""
        controls, parameters = finite_array("u", u), finite_array("p", p)
        times = self.depth.mesh(self.problem.span)
        if controls.shape != (len(times) - 1, self.problem.m) or parameters.shape != (self.problem.P,):
            raise InvalidInput(
                f"evolve: u {(len(times) - 1, self.problem.m)} and p {(self.problem.P,)} are needed; "
                f"got {controls.shape} and {parameters.shape}."
            )
        velocity = [self.velocity(row, parameters) for row in controls]
        steps = [
            max(1, int(np.ceil(h * self._fastest(f) / COURANT))) for h, f in zip(np.diff(times), velocity, strict=True)
        ]
        layer = np.repeat(np.arange(len(steps)), steps)
        h = (np.diff(times) / steps)[layer]
        A = [self._generator(f) for f in velocity]
        w, v = np.empty((2, len(h) + 1, int(np.prod(self.cells.count))))
        w[-1] = self._function("readout")
        for j in reversed(range(len(h))):
            w[j] = _stepped(A[layer[j]].T, h[j], w[j + 1])
        v[0] = (w[0] - self._function("target")) * self._function("density")
        for j in range(len(h)):
            v[j + 1] = _stepped(A[layer[j]], h[j], v[j])
        return Carried(self, controls, parameters, layer, h, *(a.reshape(-1, *self.cells.count) for a in (w, v)))

    def evolve_solution(self, solution: Solution) -> Carried:
        """w and v of the controls and parameters that the problem's solution has on this depth scheme."""
        return self.evolve(*coefficients(self.problem, self.depth, solution))

    def velocity(self, u: Array, p: Array) -> list[Array]:
        """The component of f across each axis, on its inner faces."""
        found = []
        for i in range(self.cells.dimensions):
            faces = self.cells.faces(i)
            f = self._at_faces[0](faces.reshape(-1, self.cells.dimensions).T, u, p)
            found.append(np.asarray(f)[i].reshape(faces.shape[:-1]))
        return found

    def hamiltonian(self, w: Array, v: Array, u: Array, p: Any = ()) -> float:
        """∫ v f·∇w dx of functions on cells."""
        return float(sum(np.sum(c * f) for c, f in zip(self._pull(w, v), self.velocity(u, p), strict=True)))

    def hamiltonian_gradient(self, w: Array, v: Array, u: Array, p: Any = ()) -> tuple[Array, Array]:
        """Its gradients in u (m,) and p (P,)."""
        total = np.zeros(self.problem.m + self.problem.P)
        for i, c in enumerate(self._pull(w, v)):
            faces = self.cells.faces(i).reshape(-1, self.cells.dimensions)
            towards = np.zeros(faces.shape)
            towards[:, i] = c.ravel()
            total += np.asarray(self._at_faces[1](faces.T, u, p, towards.T)).sum(axis=1)
        return total[: self.problem.m], total[self.problem.m :]

    def _pull(self, w: Array, v: Array) -> list[Array]:
        """vol ½(v_L + v_R)(w_R − w_L)/h across each axis, which the velocities there are multiplied by in H."""
        return [
            self.cells.volume * 0.5 * (left + right) * np.diff(w, axis=i) / h
            for i, h in enumerate(self.cells.widths)
            for left, right in [self.cells.sides(v, i)]
        ]

    def _generator(self, velocity: list[Array]) -> Any:
        """A of v̇ = A v, sparse; ẇ = −Aᵀ w."""
        size = int(np.prod(self.cells.count))
        index, A = np.arange(size).reshape(self.cells.count), scipy.sparse.csr_matrix((size, size))
        for i, h in enumerate(self.cells.widths):
            left, right = (np.ravel(side) for side in self.cells.sides(index, i))
            half = 0.5 * velocity[i].ravel() / h
            rows, columns = np.concatenate([left, left, right, right]), np.concatenate([left, right, left, right])
            flow = np.concatenate([-half, -half, half, half])
            A = A + scipy.sparse.coo_matrix((flow, (rows, columns)), shape=(size, size)).tocsr()
        return A

    def _fastest(self, velocity: list[Array]) -> float:
        """Σ_i max |f_i|/h_i."""
        return float(sum(np.abs(f).max() / h for f, h in zip(velocity, self.cells.widths, strict=True)))

    def _function(self, name: str) -> Array:
        return self.cells.values(name, getattr(self, name), self.cells.centres).ravel()

    @cached_property
    def _at_faces(self) -> tuple[ca.Function, ca.Function]:
        """(x, u, p) → f, and (x, u, p, c) → the gradient of c·f in (u, p)."""
        s = self.problem.symbols()
        f, x, theta = self.problem.evaluate("dynamics", **s), s["x"], ca.vertcat(s["u"], s["p"])
        c = ca.SX.sym("c", f.numel())
        slope = ca.densify(ca.gradient(ca.dot(c, f), theta))
        return (
            ca.Function("velocity", [x, s["u"], s["p"]], [ca.densify(f)]),
            ca.Function("slope", [x, s["u"], s["p"], c], [slope]),
        )


@dataclass(frozen=True, eq=False)
class Carried:
    """w and v (K + 1, *count) at the ends of K steps ``h``, of which ``layer`` (K,) tells the layer."""

    equation: Liouville
    u: Array
    p: Array
    layer: Any
    h: Array
    w: Array
    v: Array

    @property
    def cost(self) -> float:
        """½ ∫ (w(0) − F)² ρ dx."""
        left = self.w[0].ravel() - self.equation._function("target")
        return float(0.5 * np.dot(left, self.v[0].ravel()) * self.equation.cells.volume)

    @property
    def mass(self) -> Array:
        """∫ v dx, (K + 1,)."""
        return np.asarray(self.v.reshape(len(self.v), -1).sum(axis=1) * self.equation.cells.volume)

    @property
    def pairing(self) -> Array:
        """⟨w, v⟩, (K + 1,)."""
        both = (self.w * self.v).reshape(len(self.v), -1)
        return np.asarray(both.sum(axis=1) * self.equation.cells.volume)

    @cached_property
    def gradient(self) -> tuple[Array, Array]:
        """Of the cost, Euclidean: in u (N, m) and p (P,), by the trapezoidal rule over the steps of each layer."""
        in_u, in_p = np.zeros_like(self.u), np.zeros_like(self.p)
        for j, (k, h) in enumerate(zip(self.layer, self.h, strict=True)):
            for end in (j, j + 1):
                du, dp = self.equation.hamiltonian_gradient(self.w[end], self.v[end], self.u[k], self.p)
                in_u[k] += 0.5 * h * du
                in_p += 0.5 * h * dp
        return in_u, in_p


def _stepped(A: Any, h: float, y: Array) -> Array:
    """One step of ẏ = A y."""
    total = y
    for share in reversed(KUTTA):
        total = y + h * share * (A @ total)
    return total
