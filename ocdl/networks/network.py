"""Training a network as a problem of optimal control: an architecture, data, and what an error costs.

min Σ_s ω_s ℓ(h(W x_s(T) + μ), c_s) + ∫_0^T R(u) dt + R(W, μ),   ẋ_s = φ(x_s, u),   x_s(0) = (input_s, 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ocdl.arrays import Array, is_real
from ocdl.errors import InvalidInput
from ocdl.networks.architecture import Architecture
from ocdl.networks.head import head, head_parts
from ocdl.networks.labels import channels_of, checked_labels, padded, rows_of
from ocdl.networks.layer import Layer
from ocdl.statement.bounds import Box
from ocdl.statement.extended import Reduction
from ocdl.statement.layout import Layout, Part
from ocdl.statement.losses import HalfSquare, IdentityLink, Loss, Readout
from ocdl.statement.problem import ControlProblem
from ocdl.statement.regularisers import PenalisedControls, PenalisedParameters, Regulariser
from ocdl.statement.risk import Risk
from ocdl.statement.stability import Stability

CLASSIFIER = Readout()
HALF_SQUARE = HalfSquare()
EMPTY = np.zeros(0), np.zeros(0)


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
    risk: Risk | None = None,
    channels: int | None = None,
    horizon: float | None = None,
    tied: bool = False,
    stability: Stability | None = None,
) -> ControlProblem:
    """The statement of training ``architecture`` on samples; its solution has "K", "beta", ..., "W" and "mu" by name.

    inputs: (S, d). labels: (S,) for one output, (S, K) for K, or classes 0 … K − 1, (S,). Memory-mapped arrays of
        float64, as ``numpy.load(..., mmap_mode="r")`` returns them, are read block by block and never copied: they may
        be larger than memory (inputs as many as the states, labels not classes); their files must not change. All other
        arrays, lazy ones too, are read whole.
    readout: O = W x(T) + μ and its link, trained within its intervals or fixed; None for O = x(T).
    regulariser: R of every control, integrated over the depth, and of W and μ.
    bounds: ``Box(K=(-1, 1), beta=...)`` by the names of the controls; also x, of the states. Those of controls may be
        functions of the depth.
    weights: ω (S,), equal by default. risk: of the samples' losses, instead of their mean.
    channels: states are inputs followed by zeros, so many in all (augmented).
    horizon: T, 1 by default; of a ``discrete`` architecture the number of its layers, each a unit step.
    stability: ``Dissipative()``, ``Nonexpansive()`` or ``Amplification(κ)``, kept at every depth by constraints on
        controls it lends; for ``Ipopt``.
    tied: one layer's controls serve at all depths (an autonomous network); they are parameters then.

    The convention's price: controls live in R^n with the plain product Ky, while a ``SelectionProblem`` has b(y, z)
    under an integral. On a width quadrature w, b_ij = −K_ij / w_j and W(z_j) = W_j / w_j, so that bounds on K are
    bounds on −w_j b_ij, and Tikhonov here is (λ/2)|K|² = (λ/2) Σ w_j² b_ij², not the (λ/2) Σ w_i w_j b_ij² of function
    space; these do not keep their meaning as the width grows. Over depth both are integrals: the penalty of layer k is
    h_k R(u_k), with h = 1 where the layers are unit steps.

    Raises InvalidInput for NaN, shapes that disagree, one class only, and names that no control has.
    """
    _check_kinds(architecture, readout, loss, regulariser, bounds, stability)
    rows = rows_of(inputs)
    n = architecture.states(channels_of(rows, channels))
    layer = Layer(architecture, n, Box() if bounds is None else bounds, architecture.parts(n), stability)
    terminal = head(readout, loss, architecture.features(n), layer.size if tied else 0)
    K, r = terminal.output.shape
    depth = _horizon(architecture, horizon)
    if tied:
        layer.check_tied(depth)
    held = (layer.parts if tied else ()) + head_parts(terminal.output)
    metric = np.repeat([depth, 1.0], [layer.size if tied else 0, terminal.output.size])
    return ControlProblem(
        **layer.formulas(tied),
        **_penalties(regulariser, np.zeros(0) if tied else layer.penalised, metric),
        terminal=terminal,
        initial=padded(rows, n),
        horizon=depth,
        bounds=layer.box(EMPTY if readout is None else readout.ends(K, r), tied),
        controls=() if tied else _entries(layer.parts),
        parameters=_entries(held),
        data=checked_labels(labels, len(rows), K, terminal.link, loss, one_class=regulariser is not None),
        weights=weights,
        risk=risk,
        layout=Layout(Part("x", ("y",), (n,)), () if tied else layer.parts, held, {}),
        parameter_metric=metric,
        budgets=layer.budgets(depth),
        reduction=Reduction() if stability is None else stability.reduction,
        discrete=architecture.discrete,
        columnwise=not architecture.by_depth,
    )


def _entries(parts: tuple[Part, ...]) -> list[str]:
    """What single entries are called, such as "K[0,1]"."""
    return [
        f"{part.name}[{','.join(map(str, index))}]" if index else part.name
        for part in parts
        for index in np.ndindex(*part.shape)
    ]


def _penalties(regulariser: Regulariser | None, controls: Array, metric: Array) -> dict[str, Any]:
    """R of the controls over the depth, and of parameters, with these metrics, where there are any."""
    if regulariser is None:
        return {}
    effort = {"effort": PenalisedControls(regulariser, controls)} if controls.size else {}
    penalty = {"penalty": PenalisedParameters(regulariser, metric)} if metric.size else {}
    return effort | penalty


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


def _check_kinds(architecture: Any, readout: Any, loss: Any, regulariser: Any, bounds: Any, stability: Any) -> None:
    """Raise InvalidInput where something is given that is of another kind."""
    kinds: Mapping[str, tuple[Any, Any, str]] = {
        "architecture": (architecture, Architecture, "ocdl.Residual()"),
        "readout": (readout, Readout | None, "ocdl.Readout(), or None"),
        "loss": (loss, Loss, "ocdl.HalfSquare()"),
        "regulariser": (regulariser, Regulariser | None, "ocdl.Tikhonov(1e-4), or None"),
        "bounds": (bounds, Box | None, "ocdl.Box(K=(-1, 1))"),
        "stability": (stability, Stability | None, "ocdl.Dissipative(), or None"),
    }
    for name, (value, kind, hint) in kinds.items():
        if not isinstance(value, kind):
            raise InvalidInput(f"{name}={value!r}: give an instance such as {hint}.")
    loss.check(IdentityLink() if readout is None else readout.link)
