"""Training a network as a problem of optimal control: an architecture, data, and what an error costs.

min Σ_s ω_s ℓ(h(W x_s(T) + μ), c_s) + ∫_0^T R(u) dt + R(W, μ),   ẋ_s = φ(x_s, u),   x_s(0) = (input_s, 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array, is_real
from ocdl.errors import InvalidInput
from ocdl.networks.architecture import Architecture, matrices, total
from ocdl.networks.head import Head
from ocdl.networks.labels import channels_of, checked_labels, states_of
from ocdl.statement.bounds import Box
from ocdl.statement.layout import Layout, Part
from ocdl.statement.losses import HalfSquare, IdentityLink, Loss, Readout
from ocdl.statement.problem import ControlProblem
from ocdl.statement.regularisers import Regulariser

CLASSIFIER = Readout()
HALF_SQUARE = HalfSquare()


def network(
    architecture: Architecture,
    inputs: Any,
    labels: Any,
    *,
    readout: Readout | None = CLASSIFIER,
    loss: Loss = HALF_SQUARE,
    regulariser: Regulariser | None = None,
    bounds: Box | None = None,
    weights: Any = None,
    channels: int | None = None,
    horizon: float | None = None,
    tied: bool = False,
) -> ControlProblem:
    """The statement of training ``architecture`` on samples; its solution has "K", "beta", ..., "W" and "mu" by name.

    inputs: (S, d). labels: (S,) for one output, (S, K) for K, or classes 0 … K − 1, (S,).
    readout: O = W x(T) + μ and its link, trained within its intervals or fixed; None for O = x(T).
    regulariser: R of every control, integrated over the depth, and of W and μ.
    bounds: ``Box(K=(-1, 1), beta=...)`` by the names of the controls; also x, of the states. Those of controls may be
        functions of the depth.
    weights: ω (S,), equal by default. channels: states are inputs followed by zeros, so many in all (augmented).
    horizon: T, 1 by default; of a ``discrete`` architecture the number of its layers, each a unit step.
    tied: one layer's controls serve at all depths (an autonomous network); they are parameters then.

    The convention's price: controls live in R^n with the plain product Ky, while a ``SelectionProblem`` has b(y, z)
    under an integral. On a width quadrature w, b_ij = −K_ij / w_j and W(z_j) = W_j / w_j, so that bounds on K are
    bounds on −w_j b_ij, and Tikhonov here is (λ/2)|K|² = (λ/2) Σ w_j² b_ij², not the (λ/2) Σ w_i w_j b_ij² of function
    space; these do not keep their meaning as the width grows. Over depth both are integrals: the penalty of layer k is
    h_k R(u_k), with h = 1 where the layers are unit steps.

    Raises InvalidInput for NaN, shapes that disagree, one class only, and names that no control has.
    """
    _check_kinds(architecture, readout, loss, regulariser, bounds)
    rows = states_of(inputs, np.shape(inputs)[-1] if np.ndim(inputs) else 0)
    width = channels_of(rows, channels)
    n = architecture.states(width)
    x0 = states_of(rows, n)
    layer = _Layer(architecture, n, Box() if bounds is None else bounds, architecture.parts(n))
    head = Head(readout, loss, architecture.features(n), layer.size if tied else 0)
    depth = _horizon(architecture, horizon)
    if tied:
        layer.check_tied(depth)
    held = (layer.parts if tied else ()) + head.parts
    ones = np.ones(total(head.parts))
    return ControlProblem(
        **layer.formulas(tied),
        **_penalties(regulariser, layer.size if tied else 0, ones.size, depth),
        terminal=head,
        initial=x0,
        horizon=depth,
        bounds=layer.box(head, tied),
        controls=() if tied else _entries(layer.parts),
        parameters=_entries(held),
        data=checked_labels(labels, len(x0), head.outputs, None if regulariser else readout, loss),
        weights=weights,
        layout=Layout(Part("x", ("y",), (n,)), () if tied else layer.parts, held, {}),
        parameter_metric=np.concatenate([np.full(layer.size, depth), ones]) if tied else None,
        budgets=architecture.budgets(depth),
        discrete=architecture.discrete,
        columnwise=not architecture.by_depth,
    )


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer of n states: its formulas of flat controls, and their bounds."""

    architecture: Architecture
    n: int
    given: Box
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        unknown = set(self.given.names) - {*names, "x"}
        if unknown:
            raise InvalidInput(
                f"{self.given!r}: the controls of {type(self.architecture).__name__} are {', '.join(names)}, and x are "
                f"its states; got {', '.join(sorted(unknown))}."
            )

    @property
    def size(self) -> int:
        return total(self.parts)

    def formulas(self, tied: bool) -> dict[str, Any]:
        """Lift and dynamics of the controls, or of parameters in their place."""
        architecture, named = self.architecture, partial(matrices, self.parts)
        if architecture.by_depth:
            return {"dynamics": lambda t, x, u: architecture.rate(t, x, named(u))}
        if tied:
            return {
                "lift": lambda x, p: architecture.lift(x, named(p)),
                "dynamics": lambda x, z, p: architecture.dynamics(x, z, named(p)),
            }
        return {
            "lift": lambda x, u: architecture.lift(x, named(u)),
            "dynamics": lambda x, z, u: architecture.dynamics(x, z, named(u)),
        }

    def check_tied(self, horizon: float) -> None:
        """Raise InvalidInput where the controls cannot be the same at all depths."""
        budgets = self.architecture.budgets(horizon)
        if self.architecture.by_depth:
            raise InvalidInput(f"tied=True: the layers of a {type(self.architecture).__name__} differ.")
        varying = [part.name for part in self.parts if self.given.varies(part.name)]
        if budgets:
            raise InvalidInput(f"tied=True: {self.architecture!r} gives ∫ {budgets[0].control} dt, which fixes it.")
        if varying:
            raise InvalidInput(f"tied=True: one {varying[0]} serves at all depths; its bounds are functions of t.")

    def box(self, head: Head, tied: bool) -> Box:
        """The bounds of flat controls, parameters and states."""
        ends = (lambda t: self._ends(t)[0]), (lambda t: self._ends(t)[1])
        fixed = not any(box.varies(part.name) for part in self.parts for box in self._boxes)
        pair: Any = (ends[0](0.0), ends[1](0.0)) if fixed else ends
        of_head = head.bounds()
        held = tuple(np.concatenate(ends) for ends in zip(pair, of_head, strict=True)) if tied else of_head
        states = self.given.given("x") if "x" in self.given.names else None
        return Box(u=None if tied else pair, p=(held[0], held[1]), x=states)

    @property
    def _boxes(self) -> tuple[Box, Box]:
        return self.architecture.bounds(self.n), self.given

    def _ends(self, t: float) -> tuple[Array, Array]:
        """Lower and upper bounds (m,) at depth t: what the architecture and the user ask for."""
        at, low, high = np.array([t]), [], []
        for part in self.parts:
            pairs = [box.interval_at(part.name, part.shape, at) for box in self._boxes]
            low.append(np.maximum(pairs[0][0], pairs[1][0]).ravel())
            high.append(np.minimum(pairs[0][1], pairs[1][1]).ravel())
        return np.concatenate(low), np.concatenate(high)


def _entries(parts: tuple[Part, ...]) -> list[str]:
    """What single entries are called, such as "K[0,1]"."""
    return [
        f"{part.name}[{','.join(map(str, index))}]" if index else part.name
        for part in parts
        for index in np.ndindex(*part.shape)
    ]


def _penalties(regulariser: Regulariser | None, tied: int, head: int, horizon: float) -> dict[str, Any]:
    """R of the controls over the depth, and of the parameters: of tied ones as of controls that stay the same."""
    if regulariser is None:
        return {}
    density = regulariser.density
    metric = np.concatenate([np.full(tied, horizon), np.ones(head)])
    return ({} if tied else {"effort": lambda u: ca.sum1(density(u))}) | (
        {"penalty": lambda p: ca.dot(metric, density(p))} if metric.size else {}
    )


def _horizon(architecture: Architecture, horizon: Any) -> float:
    """T; of a discrete architecture a number of layers."""
    if not architecture.discrete:
        return 1.0 if horizon is None else horizon
    own, name = architecture.layers(), type(architecture).__name__
    layers: Any = own if horizon is None else horizon
    if not (is_real(layers) and float(layers).is_integer() and layers >= 1):
        raise InvalidInput(
            f"horizon={horizon!r}: {name} is a network of unit steps; give the number of its layers, such as "
            "horizon=20 on ExplicitEuler(20)."
        )
    if own not in (None, layers):
        raise InvalidInput(f"horizon={horizon!r}: this {name} has {own} layers.")
    return float(layers)


def _check_kinds(architecture: Any, readout: Any, loss: Any, regulariser: Any, bounds: Any) -> None:
    """Raise InvalidInput where something is given that is of another kind."""
    kinds: Mapping[str, tuple[Any, Any, str]] = {
        "architecture": (architecture, Architecture, "ocdl.Residual()"),
        "readout": (readout, Readout | None, "ocdl.Readout(), or None"),
        "loss": (loss, Loss, "ocdl.HalfSquare()"),
        "regulariser": (regulariser, Regulariser | None, "ocdl.Tikhonov(1e-4), or None"),
        "bounds": (bounds, Box | None, "ocdl.Box(K=(-1, 1))"),
    }
    for name, (value, kind, hint) in kinds.items():
        if not isinstance(value, kind):
            raise InvalidInput(f"{name}={value!r}: give an instance such as {hint}.")
    loss.check(IdentityLink() if readout is None else readout.link)
