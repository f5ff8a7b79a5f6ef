"""The passes of narrow layers by the compiled ``loops``, called as those of ``wide``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.interrupts import uninterrupted
from ocdl.sweeps.fused import wide
from ocdl.sweeps.fused.codes import FACTOR, MATRIX, NONE, ONE, code
from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.tape import Tangent, Tape

Array = NDArray[np.float64]


def forward(tape: Tape) -> None:
    """``wide.forward``; an activation that is not compiled goes there."""
    known = code(tape.layers.activation)
    if known is None:
        wide.forward(tape)
        return
    _run("forward", *_layers(tape), *known, tape.stage_states, tape.sigma, tape.slope, tape.end)


def backward(
    tape: Tape, p: Array, slopes: LayerArrays, kept: tuple[Array, Array, Array] | None, forces: wide.Forces
) -> None:
    """``wide.backward``; forces go there."""
    if any(force is not None for force in forces):
        wide.backward(tape, p, slopes, kept, forces)
        return
    costate, K, delta = (np.empty((0, 0, 0)), *np.empty((2, 0, 0, 0, 0))) if kept is None else kept
    given = tape.stage_states, tape.sigma, tape.slope
    _run("backward", *_layers(tape), *given, p, *_entries(slopes), costate, K, delta)


def tangent(tape: Tape, moved: LayerArrays, x: Array) -> Tangent:
    """``wide.tangent``."""
    found = Tangent(moved, np.empty(tape.stage_states.shape), np.empty(tape.sigma.shape), x)
    given = tape.stage_states, tape.sigma, tape.slope
    _run("tangent", *_layers(tape), *_entries(moved), *given, found.stage_states, found.z, found.end)
    return found


def second_backward(tape: Tape, along: Tangent, p: Array, dp: Array, slopes: LayerArrays) -> None:
    """``wide.second_backward``."""
    given = tape.stage_states, tape.sigma, tape.slope, tape.curvature, along.stage_states, along.z
    _run("second_backward", *_layers(tape), *_entries(along.arrays), *given, p, dp, *_entries(slopes))


_loops: dict[str, Callable[..., None]] = {}


def _run(name: str, *arguments: Any) -> None:
    if name in _loops:
        _loops[name](*arguments)
        return
    with uninterrupted():  # numba loaded or compiled by half is lost to the process
        from ocdl.sweeps.fused import loops

        getattr(loops, name)(*arguments)
    _loops[name] = getattr(loops, name)


def _layers(tape: Tape) -> tuple[Any, ...]:
    """Θ, the kinds of V, S and V's derivative, and the scheme, as the loops take them."""
    layers, (_, _, V, S, _) = tape.layers, tape.layers.arrays
    kinds = np.array([ONE if V is None else _kind(V), _kind(S), _kind(V)])
    scheme = layers.tableau.A, layers.tableau.b, layers.h, layers.row
    return (*_entries(layers.arrays), kinds, *(_plain(array) for array in scheme))


def _kind(entry: Array | None) -> int:
    return NONE if entry is None else FACTOR if entry.ndim == 1 else MATRIX


def _entries(arrays: LayerArrays) -> tuple[Array, ...]:
    """W, v, V and S as matrices of every layer, and r; empty where there are none."""
    W, v, V, S, r = arrays
    cubic = (np.empty((0, 0, 0)) if e is None else e.reshape(len(W), 1, 1) if e.ndim == 1 else e for e in (V, S))
    return tuple(_plain(array) for array in (W, v, *cubic, np.empty((0, 0)) if r is None else r))


def _plain(array: Any) -> Any:
    """Rows one after the other, in memory of one's own where it cannot be written: numba would compile anew."""
    return array if array.flags.carray else np.array(array, order="C")
