"""Flows of dense layers, of given kernels or of trained networks, and their evolutions: what the theory is asked about.

    ẋ = φ_k(x) = V_k σ(W_k x + v_k) + S_k x + r_k,   t_k ≤ t < t_{k+1},

the selection dynamics ∂t f = σ(a − Bf) with W = −b diag(w), v = a. A trained network is either this equation, or the
steps of its own explicit scheme. Inner products of states are Σ w_i x_i y_i.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", (2.8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ocdl.analysis.operators import KernelOperator
from ocdl.analysis.steps import Step, stepped, steps_of
from ocdl.arrays import Array, finite_array, is_real, shown
from ocdl.callables import called
from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.integration import NotFollowed, integrated
from ocdl.depth.schemes import DepthScheme, Tableau
from ocdl.errors import InvalidInput, NotSupported
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Problem, discretised
from ocdl.statement.activations import Activation
from ocdl.statement.selection import Grid
from ocdl.statement.times import check_horizon
from ocdl.statement.width import Nodes
from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.layer import DenseLayer
from ocdl.sweeps.fused.recognise import dense_form
from ocdl.sweeps.sweeper import SweepFailed


@dataclass(frozen=True, eq=False)
class Evolution:
    """States x (K, S, n) at depths t (K,) of a flow; ``layer`` (K,): the layer that begins or goes on at each."""

    flow: Flow
    t: Array
    x: Array
    layer: Any

    @property
    def preactivation(self) -> Array:
        """u = W x + v, a − Bf of selection dynamics, (K, S, k); at a jump that of the layer that begins."""
        return np.stack([self.flow.layer(k).preactivation(x) for k, x in zip(self.layer, self.x, strict=True)])


@dataclass(frozen=True, eq=False)
class Flow:
    """The module's equation: σ, ``layers`` of N numbers each, depths ``times`` (N+1,), weights w (n,) of the states.

    scheme: an explicit tableau where the layers are its steps, as in a ResNet; None where they are the equation.
    nodes: y, where the states are a function of y.
    """

    activation: Activation
    layers: LayerArrays
    times: Array
    weights: Array
    scheme: Tableau | None = None
    nodes: Nodes | None = None

    @classmethod
    def selection(
        cls, activation: Activation, bias: Callable[[Array], Any] | Any, operator: KernelOperator, horizon: float
    ) -> Flow:
        """∂t f = σ(a − Bf) on [0, horizon], autonomous. bias: a, a function of the nodes, (M,), or a number."""
        if not isinstance(activation, Activation):
            raise InvalidInput(f"Flow.selection(activation={activation!r}): give an instance such as ocdl.Tanh().")
        if not isinstance(operator, KernelOperator):
            raise InvalidInput(f"Flow.selection(operator={operator!r}): give a KernelOperator.")
        check_horizon(horizon)
        a = nodal_values("bias", bias, operator.nodes)
        layers = LayerArrays(W=-(operator.kernel * operator.weights)[None], v=a[None])
        return cls(activation, layers, np.array([0.0, horizon]), operator.weights, nodes=operator.nodes)

    @classmethod
    def of(cls, problem: Problem, grid: Grid | DepthScheme, solution: Solution, *, steps: bool = False) -> Flow:
        """The flow that a solution of any problem of dense layers has trained, with constant controls in each layer.

        steps: the layers are the steps of the grid's explicit scheme, and not the equation; always so where the
        problem is stated in discrete layers. Raises NotSupported where the layers are not dense.
        """
        core, depth = discretised(problem, grid)
        form = dense_form(core)
        if form is None or not isinstance(depth.controls, PiecewiseConstant):
            raise NotSupported(
                "Flow.of(problem, ...): dense layers, Vσ(Wx + v) + Sx + r, are needed, with controls constant in each."
            )
        scheme = depth.tableau if steps or core.discrete else None
        if scheme is not None and not scheme.explicit:
            raise NotSupported(f"Flow.of(..., steps=True): {depth!r} is implicit; its layers are equations.")
        u, p = coefficients(core, depth, solution)
        times = core.times.at(depth.mesh(core.span), p)
        nodes = grid.width.on(problem.domain) if isinstance(grid, Grid) and hasattr(problem, "domain") else None
        arrays = form.coefficients.arrays(u, p)
        return cls(form.activation, arrays, np.asarray(times), np.asarray(core.state_metric), scheme, nodes)

    @property
    def count(self) -> int:
        """Number of layers N."""
        return len(self.times) - 1

    @property
    def autonomous(self) -> bool:
        return self.count == 1

    def layer(self, k: int) -> DenseLayer:
        """φ_k."""
        return DenseLayer.of(self.activation, self.layers, k)

    def kernel_operator(self, k: int = 0) -> KernelOperator:
        """B of layer k, where φ_k = σ(a − Bf). Raises NotSupported for other layers."""
        W, _, V, S, r = self.layers
        if not (V is None and S is None and r is None):
            raise NotSupported("these layers are not σ(a − Bf) alone, which the theorem asked for is about.")
        nodes = self.nodes or Nodes(np.arange(len(self.weights), dtype=float), self.weights)
        return KernelOperator(-W[k] / self.weights, nodes)

    def bias(self, k: int = 0) -> Array:
        """a of layer k, (M,)."""
        return np.asarray(self.layers.v[k])

    def linearised(self, k: int, x: Array) -> Array:
        """W^{½} φ_k'(x) W^{−½}, (..., n, n): the Jacobian in coordinates whose inner product is Euclid's."""
        root = np.sqrt(self.weights)
        return root[:, None] * self.layer(k).jacobian(x) / root

    def inner(self, x: Array, y: Array) -> Array:
        """Σ w_i x_i y_i, over the last axis."""
        return np.asarray(np.sum(self.weights * x * y, axis=-1))

    def norm(self, x: Array) -> Array:
        """√(x, x), over the last axis."""
        return np.sqrt(self.inner(x, x))

    def evolve(
        self, initial: Callable[[Array], Any] | Any, *, tolerance: float = 1e-12, times: Any = None
    ) -> Evolution:
        """The evolution from x_0 (n,) or (S, n), or a function of the nodes, to the last depth.

        times: where to report; by default 50 depths in each layer, or the nodes of a network of steps, which knows no
        others. tolerance: of a step of the integrator, relative and absolute. Raises SweepFailed where it escapes.
        """
        x0 = begun(initial, self.nodes, self.weights.size, tolerance, times, self.scheme)
        if self.scheme is not None:
            return self._stepped(x0)
        return self._integrated(x0, float(tolerance), reported_depths(times, self.times))

    def evolve_samples(self, solution: Solution) -> Evolution:
        """The evolution of the samples that a solution was trained on, from its own x_0."""
        return self.evolve(solution.state.values[0].reshape(-1, self.weights.size))

    def with_horizon(self, horizon: float) -> Flow:
        """The same autonomous flow up to another depth."""
        check_horizon(horizon)
        if not self.autonomous:
            raise InvalidInput("with_horizon: a flow of one layer is needed; this one has several.")
        return replace(self, times=np.array([0.0, horizon]))

    def _integrated(self, x0: Array, tolerance: float, t: Array) -> Evolution:
        at = np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, self.count - 1)
        x, end = np.empty((t.size, *x0.shape)), x0.ravel()
        for k in range(self.count):
            layer, (a, b) = self.layer(k), (float(self.times[k]), float(self.times[k + 1]))

            def rate(_: float, y: Array, layer: DenseLayer = layer) -> Array:
                return np.asarray(layer(y.reshape(x0.shape))).ravel()

            try:
                found = integrated(rate, a, b, end, tolerance)
            except NotFollowed as error:
                raise SweepFailed(
                    f"evolve: from t = {error.reached:g} on the states escape or change too fast."
                ) from None
            here = at == k
            if np.any(here):
                x[here] = found.sol(t[here]).T.reshape(-1, *x0.shape)
            x[here & (t == a)] = end.reshape(x0.shape)
            end = found.y[:, -1]
            x[here & (t == b)] = end.reshape(x0.shape)
        return Evolution(self, t, x, at)

    def steps(self) -> Iterator[Step]:
        """The steps of a network of steps, from the first to the last."""
        if self.scheme is None:
            raise InvalidInput("steps: the layers of this flow are equations; Flow.of(..., steps=True) has steps.")
        return steps_of(self.activation, self.layers, self.scheme, np.diff(self.times))

    def _stepped(self, x0: Array) -> Evolution:
        x = stepped(self.steps(), x0)
        return Evolution(self, self.times, x, np.minimum(np.arange(self.count + 1), self.count - 1))


def begun(initial: Any, nodes: Nodes | None, size: int, tolerance: Any, times: Any, scheme: Tableau | None) -> Array:
    """x_0 (S, n) of an evolution, once it is sure that what else is asked of it fits."""
    if not is_real(tolerance) or not 1e-14 <= tolerance < 1.0:
        raise InvalidInput(f"evolve(tolerance={tolerance!r}): a number from 1e-14 to 1 is needed.")
    if scheme is not None and times is not None:
        raise InvalidInput("evolve(times=...): a network of steps has states at its nodes only.")
    return np.atleast_2d(nodal_values("initial", initial, nodes, size, rows=True))


def reported_depths(times: Any, nodes: Array) -> Array:
    """Where an evolution is reported: at ``times``, or, of None, at 50 depths between any two ``nodes``."""
    if times is None:
        inner = nodes[:-1, None] + np.diff(nodes)[:, None] * np.linspace(0.0, 1.0, 50, endpoint=False)
        return np.append(inner.ravel(), nodes[-1])
    t = finite_array("evolve(times=...)", times)
    if t.ndim != 1 or t.size == 0 or np.any(np.diff(t) <= 0.0) or t[0] < nodes[0] or t[-1] > nodes[-1]:
        raise InvalidInput(
            f"evolve(times=...): depths that increase are needed, from {nodes[0]:g} to {nodes[-1]:g}; got {shown(t)}."
        )
    return t


def nodal_values(
    name: str, given: Callable[[Array], Any] | Any, nodes: Nodes | None, size: int | None = None, rows: bool = False
) -> Array:
    """Values (M,), or (S, M) with ``rows``, at the nodes: of a function of them, of numbers for each, or of one."""
    if callable(given):
        if nodes is None:
            raise InvalidInput(f"{name}: these states are no function of y; give an array.")
        given = called(name, "the width nodes y", given, nodes.points.copy())
    values = finite_array(name, given)
    M = nodes.size if nodes is not None else int(size or 0)
    values = np.full(M, values) if values.ndim == 0 else values
    if values.shape[-1] != M or values.ndim > (2 if rows else 1):
        raise InvalidInput(f"{name}: shape ({M},){f' or (S, {M})' if rows else ''} is needed; got {values.shape}.")
    return values
