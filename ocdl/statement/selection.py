"""SelectionProblem: the continuous width–depth learning problem; a width quadrature makes it a ControlProblem.

    ∂t f(y,t) = σ( a(y,t) − ∫_Y b(y,z,t) f(z,t) dz ),  f(y,0) = f_I(y),  (a, b) in a box,
    J = Σ_s ω_s ∫ loss(h(O_s(y)), c_s(y)) dy + λ R(a, b, readout),  O = f(·,T) or ∫ W f dz + μ.

Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array, finite_array, fits_memory
from ocdl.callables import called
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.activations import Activation
from ocdl.statement.bounds import Box
from ocdl.statement.control_set import ControlSet, PairSet, SetVelocities, path_rows
from ocdl.statement.extended import Reduction
from ocdl.statement.labelled import by_labels
from ocdl.statement.layout import Layout, Part
from ocdl.statement.losses import HalfSquare, IdentityLink, Link, Loss, Readout
from ocdl.statement.problem import ControlProblem
from ocdl.statement.readout_loss import Output, ReadoutLoss
from ocdl.statement.regularisers import PenalisedControls, PenalisedParameters, Regulariser
from ocdl.statement.risk import Risk
from ocdl.statement.stability import Stability
from ocdl.statement.times import check_horizon
from ocdl.statement.velocity_box import VelocityBox
from ocdl.statement.width import Nodes, Width, intervals

PER_VALUE = 450.0  # bytes of one entry of b: its symbol, bounds, metric and formulas


@dataclass(frozen=True)
class Grid:
    """A width quadrature and a depth scheme: ``Grid(width=Midpoint(8), depth=Radau(layers=50, degree=3))``."""

    width: Width
    depth: DepthScheme

    def __post_init__(self) -> None:
        if not isinstance(self.width, Width):
            raise InvalidInput(f"Grid(width={self.width!r}): width is a quadrature such as Midpoint(8).")
        if not isinstance(self.depth, DepthScheme):
            raise InvalidInput(f"Grid(depth={self.depth!r}): depth is a scheme such as Radau(layers=50, degree=3).")


@dataclass(frozen=True, eq=False, kw_only=True)
class SelectionProblem:
    """The learning problem in function space (see the module's formula); no grid in it.

    activation: σ. horizon: T > 0, the depth.
    initial, target: functions of the width nodes y, (M,) or (M, n), with values (M,) for one sample or (S, M); or
        such arrays, or a number. With a readout of K outputs the target holds the labels: a number for all, (S,) for
        K = 1, or (S, K); with ``SoftmaxCrossEntropy`` classes (S,), or their shares (S, K).
    bounds: Box(a=..., b=..., f=...), scalars or arrays of shape (M,), (M, M), or functions of the depth that return
        them; f bounds the state. A name left out is unbounded. Or a control set: Disc or Polygon for all pairs
        (a_i, b_ij), Finite(a=..., b=...) for finitely many values.
    domain: Y, an interval or one interval per dimension. weights: ω_s, equal by default. risk: as in ControlProblem.
    stability: ``Dissipative()`` or ``Amplification(κ)`` of B in L²(Y), kept at every depth by constraints on controls
        that it lends; for ``Ipopt``.
    """

    activation: Activation
    horizon: float
    initial: Callable[[Array], Any] | Any
    target: Callable[[Array], Any] | Any
    bounds: Box | ControlSet = field(default_factory=Box)
    domain: Any = (0.0, 1.0)
    loss: Loss = field(default_factory=HalfSquare)
    regulariser: Regulariser | None = None
    readout: Readout | None = None
    weights: Any = None
    stability: Stability | None = None
    risk: Risk | None = None

    def __post_init__(self) -> None:
        kinds: tuple[tuple[str, Any, str], ...] = (
            ("activation", Activation, "ocdl.Tanh()"),
            ("loss", Loss, "ocdl.HalfSquare()"),
            ("bounds", Box | ControlSet, "ocdl.Box(a=(-1, 1)) or ocdl.Disc(radius=1.0)"),
            ("regulariser", Regulariser | NoneType, "ocdl.Tikhonov(1e-3), or None"),
            ("readout", Readout | NoneType, "ocdl.Readout(), or None"),
            ("stability", Stability | NoneType, "ocdl.Dissipative(), or None"),
        )
        for name, kind, hint in kinds:
            if not isinstance(getattr(self, name), kind):
                raise InvalidInput(f"{name}={getattr(self, name)!r}: give an instance such as {hint}.")
        self.activation.check()
        check_horizon(self.horizon)
        intervals(self.domain)
        unknown = set(self._box.names) - {"a", "b", "f"}
        if unknown:
            raise InvalidInput(
                f"{self.bounds!r}: a SelectionProblem's box has intervals for a, b and f; got {unknown}."
            )
        self.loss.check(self.link)
        self._check_stability()

    @property
    def link(self) -> Link:
        return IdentityLink() if self.readout is None else self.readout.link

    @property
    def _box(self) -> Box:
        """The box of a, b and f, around the control set where there is one."""
        return self.bounds.box if isinstance(self.bounds, ControlSet) else self.bounds

    @property
    def _pairs(self) -> PairSet | None:
        return self.bounds if isinstance(self.bounds, PairSet) else None

    def replace(self, **changes: Any) -> SelectionProblem:
        """The same problem with some fields changed."""
        return replace(self, **changes)

    def discretise(self, width: Width) -> ControlProblem:
        """The method of lines: state f(y_i), controls [a(y_i), b(y_i, z_j) row by row], ∫ g dy ≈ Σ w_i g(y_i)."""
        if not isinstance(width, Width):
            raise InvalidInput(f"discretise({width!r}): give a quadrature such as Midpoint(8).")
        fits_memory(
            f"{width!r}", f"a kernel b of {width.size}² values, its bounds and symbols", width.size**2, PER_VALUE
        )
        nodes = width.on(self.domain)
        w, M = nodes.weights, nodes.weights.size
        weighed = ca.DM(w)  # numpy's own product with a symbol takes a detour
        x0 = self._initial(nodes)
        readout = _output(self.readout, w)
        labels = self._labels(nodes, len(x0), readout)
        fixed = not any(self._box.varies(name) for name in ("a", "b"))
        ends = self._ends(np.zeros(1), M)
        low, high = ((side[0][0], side[1][0]) for side in ends)
        lent = () if self.stability is None else self.stability.parts(M)
        penalised = np.concatenate([w, np.outer(w, w).ravel(), np.zeros(sum(part.size for part in lent))])
        control_metric = np.where(penalised > 0.0, penalised, 1.0)
        velocity_box = self._velocity_box(w, low, high) if fixed and self.stability is None else None
        pairs, one = self._pairs, len(x0) == 1 and velocity_box is not None and self.regulariser is None
        if pairs is not None and velocity_box is not None:
            velocity_box = SetVelocities.within(velocity_box, pairs)
        parameter_box = (np.zeros(0), np.zeros(0)) if self.readout is None else self.readout.ends(*readout.shape)
        return ControlProblem(
            dynamics=lambda z: self.activation(z),
            lift=lambda x, u: u[:M] - _kernel(u, M) @ (weighed * x),
            initial=x0,
            horizon=self.horizon,
            terminal=ReadoutLoss(readout, self.loss, self.link),
            effort=None if self.regulariser is None else PenalisedControls(self.regulariser, penalised),
            penalty=None
            if self.regulariser is None or not readout.size
            else PenalisedParameters(self.regulariser, readout.metric),
            path=self._path(w, one),
            bounds=self._control_and_state_box(M, parameter_box),
            control_set=self.bounds if isinstance(self.bounds, ControlSet) else None,
            controls=control_metric.size,
            parameters=readout.size,
            data=labels,
            weights=self.weights,
            risk=self.risk,
            layout=_layout(nodes, readout, lent),
            state_metric=w,
            control_metric=control_metric,
            parameter_metric=readout.metric,
            velocity_box=velocity_box if len(x0) == 1 else None,
            sample_box=velocity_box,
            budgets=() if self.stability is None else self.stability.budgets(self.activation),
            reduction=Reduction() if self.stability is None else self.stability.reduction,
            columnwise=True,
        )

    def _ends(self, t: Array, M: int) -> Any:
        """(a, b) of the lower, then of the upper bounds at depths t: (K, M) and (K, M, M)."""
        return zip(self._box.interval_at("a", (M,), t), self._box.interval_at("b", (M, M), t), strict=True)

    def _control_and_state_box(self, M: int, parameter_box: tuple[Array, Array]) -> Box:
        def end(side: int) -> Callable[[float], Array]:
            def at(t: float) -> Array:
                a, b = list(self._ends(np.array([t]), M))[side]
                lent = () if self.stability is None else (self.stability.ends(M)[side],)
                return np.concatenate([a[0], b[0].ravel(), *lent])

            return at

        def state_end(side: int) -> Callable[[float], Array]:
            return lambda t: self._box.interval_at("f", (M,), np.array([t]))[side][0]

        controls: Any = (end(0), end(1))
        if not (self._box.varies("a") or self._box.varies("b")):
            controls = (controls[0](0.0), controls[1](0.0))
        states: Any = (state_end(0), state_end(1)) if self._box.varies("f") else self._box.interval("f", (M,))
        path = None if self.stability is None else self.stability.interval
        return Box(u=controls, p=parameter_box, x=states if "f" in self._box.names else None, path=path)

    def _path(self, w: Array, one: bool) -> Callable[..., Any] | None:
        """The rows that hold pairs (a, b) in their set, or W^½ b W^½ stable; none for ``one`` sample's closed form."""
        pairs, stability, M = self._pairs, self.stability, w.size
        if stability is not None:
            root = ca.DM(np.sqrt(np.outer(w, w)))
            return lambda u: stability.rows(-root * _kernel(u, M), u[M + M * M :])
        return None if pairs is None or one else (lambda u: path_rows(pairs, u, M))

    def _check_stability(self) -> None:
        if self.stability is None:
            return
        if not self.stability.kernels:
            raise NotSupported(
                f"stability={self.stability!r}: it is about entries of matrices, and says nothing of a kernel b(y, z)."
            )
        if isinstance(self.bounds, ControlSet):
            raise NotSupported(f"stability={self.stability!r}: it needs a Box; got {self.bounds!r}.")

    def _velocity_box(self, w: Array, low: Any, high: Any) -> VelocityBox | None:
        finite = all(np.all(np.isfinite(bound)) for bound in (*low, *high))
        if not (self.activation.increasing and finite):
            return None
        return VelocityBox(self.activation, w, a_lower=low[0], a_upper=high[0], b_lower=low[1], b_upper=high[1])

    def _initial(self, nodes: Nodes) -> Array:
        return _rows("initial", self.initial, nodes, None)

    def _labels(self, nodes: Nodes, samples: int, readout: Output) -> Array:
        labels = self._target(nodes, samples, readout)
        self.loss.check_labels("target", labels)
        return labels

    def _target(self, nodes: Nodes, samples: int, readout: Output) -> Array:
        if self.readout is None or self.readout.outputs == "width":
            return _rows("target", self.target, nodes, samples)
        if callable(self.target):
            raise InvalidInput(
                f"target={self.target!r}: behind Readout(outputs={self.readout.outputs}) the target holds one label an "
                "output; a function of y has no place there."
            )
        labels = finite_array("target", by_labels("target", self.target, ("sample", "output"), {}))
        return self.loss.label_rows("target", labels, samples, readout.weights.size)


def _kernel(u: Any, M: int) -> Any:
    """b (M, M) of flat controls."""
    return ca.reshape(u[M : M + M * M], M, M).T


def _output(readout: Readout | None, w: Array) -> Output:
    """O of states at nodes of weights w (M,)."""
    if readout is None:
        return Output(w)
    return Output(w if readout.outputs == "width" else np.ones(int(readout.outputs)), w)


def _rows(name: str, given: Any, nodes: Nodes, samples: int | None) -> Array:
    """Values of a data function at the nodes, shape (S, M)."""
    M = nodes.weights.size
    given = _called(name, given, nodes) if callable(given) else given
    values = finite_array(name, by_labels(name, given, ("sample", "y"), _coords(nodes)))
    if values.ndim == 0:
        values = np.full(M, values)
    rows = np.atleast_2d(values)
    if rows.ndim != 2 or rows.shape[1] != M or rows.shape[0] == 0:
        raise InvalidInput(
            f"{name}: values of shape ({M},) or (S, {M}) at the {M} width nodes are needed; got {values.shape}."
        )
    if samples is not None and rows.shape[0] == 1:
        rows = np.broadcast_to(rows, (samples, M))
    if samples is not None and rows.shape[0] != samples:
        raise InvalidInput(f"{name}: the initial value has {samples} sample(s); got {rows.shape[0]} rows.")
    return np.array(rows)


def _called(name: str, function: Callable[[Array], Any], nodes: Nodes) -> Any:
    """A data function at a copy of the nodes."""
    return called(f"{name}=...", f"the width nodes y, shape {nodes.points.shape},", function, nodes.points.copy())


def _coords(nodes: Nodes) -> dict[str, Any]:
    """The coordinates of y and z, or of their components."""
    points = nodes.points
    if points.ndim == 1:
        return {axis: ((axis,), points) for axis in ("y", "z")}
    return {f"{axis}{i}": ((axis,), points[:, i]) for axis in ("y", "z") for i in range(points.shape[1])}


def _layout(nodes: Nodes, readout: Output, lent: tuple[Part, ...]) -> Layout:
    M = nodes.weights.size
    K = readout.weights.size
    return Layout(
        state=Part("f", ("y",), (M,)),
        controls=(Part("a", ("y",), (M,)), Part("b", ("y", "z"), (M, M)), *lent),
        parameters=(Part("W", ("output", "z"), (K, M)), Part("mu", ("output",), (K,))) if readout.size else (),
        coords=_coords(nodes),
    )
