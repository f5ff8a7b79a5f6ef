"""The passes of narrow layers by the compiled ``loops``, called as those of ``wide``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.interrupts import uninterrupted
from ocdl.statement.activations import ELU, Activation, Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from ocdl.sweeps.fused import wide
from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.tape import Tape

Array = NDArray[np.float64]


def forward(tape: Tape) -> None:
    """``wide.forward``; an activation that is not compiled goes there."""
    known = _code(tape.layers.activation)
    if known is None:
        wide.forward(tape)
        return
    _run("forward", *_layers(tape), *known, tape.stage_states, tape.sigma, tape.slope, tape.end)


def backward(
    tape: Tape, p: Array, slopes: LayerArrays, kept: tuple[Array, Array, Array] | None, kicks: Array | None
) -> None:
    """``wide.backward``; kicks go there."""
    if kicks is not None:
        wide.backward(tape, p, slopes, kept, kicks)
        return
    costate, K, delta = (np.empty((0, 0, 0)), *np.empty((2, 0, 0, 0, 0))) if kept is None else kept
    written = (slopes.W, slopes.v, _cubic(slopes.V), _cubic(slopes.S), _flat(slopes.r))
    _run("backward", *_layers(tape), tape.stage_states, tape.sigma, tape.slope, p, *written, costate, K, delta)


def _run(name: str, *arguments: Any) -> None:
    with uninterrupted():  # numba loaded or compiled by half is lost to the process
        from ocdl.sweeps.fused import loops

        getattr(loops, name)(*arguments)


def _layers(tape: Tape) -> tuple[Any, ...]:
    """Θ, the kinds of V and S (0 none, 1 a factor, 2 a matrix), and the scheme, as the loops take them."""
    layers, (W, v, V, S, r) = tape.layers, tape.layers.arrays
    kinds = np.array([0 if e is None else max(e.ndim - 1, 1) for e in (V, S)])
    scheme = layers.tableau.A, layers.tableau.b, layers.h, layers.row
    arrays = (W, v, _cubic(V), _cubic(S), _flat(r), kinds, *scheme)
    return tuple(np.ascontiguousarray(array) for array in arrays)


def _cubic(entry: Array | None) -> Array:
    return np.empty((0, 0, 0)) if entry is None else entry.reshape(len(entry), 1, 1) if entry.ndim == 1 else entry


def _flat(entry: Array | None) -> Array:
    return np.empty((0, 0)) if entry is None else entry


def _code(activation: Activation) -> tuple[int, float] | None:
    """What the loops call σ, and its parameter; None where they do not know it. A subclass has a formula of its own."""
    codes = {Tanh: 0, Sigmoid: 1, ReLU: 2, LeakyReLU: 2, ELU: 3, Identity: 4}
    known = codes.get(type(activation))
    parameter = getattr(activation, "alpha", getattr(activation, "slope", 0.0))
    return None if known is None else (known, float(parameter))
