"""Picard's iteration as a solver of ∂t f = σ(a − Bf), with a proven bound on its error.

    f⁰ = f_I,   f^{n+1}(t) = f_I + ∫_0^t σ(a − B fⁿ) dτ,   C_2 = sup |σ'| ∫ ‖b‖_{L²(Y×Y)} dt,
    ‖f − fⁿ‖ ≤ C_2ⁿ/(1 − C_2) ‖f¹ − f⁰‖ where C_2 < 1,   ‖f − fⁿ‖ ≤ Σ_{m≥n} C_2^m/m! ‖f¹ − f⁰‖ always,

norms L² in y, maxima in t; the second, of Volterra, by induction: ‖f^{m+1} − f^m‖(t) ≤ C_2(t)^m/m! ‖f¹ − f⁰‖.
The depth is cut into windows of a small C_2, in which σ(a − Bfⁿ) is a polynomial through Gauss's points. With q_m the
L¹ norm in t of what that polynomial misses in sweep m, windows that begin with an error E end with one of at most

    e^{C_2} E + Σ_{m≥n} C_2^m/m! ‖f¹ − f⁰‖ + Σ_{j<n} q_{n−1−j} C_2^j/j! + rounding.

q is measured by a quadrature of three times the points, and bounded where u may pass kinks of σ between them; windows
are halved where it is too large.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", Theorem 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.findings import Finding
from ocdl.analysis.flow import Evolution, Flow, nodal_values, reported_depths
from ocdl.analysis.forward.picard_window import Window, swept
from ocdl.analysis.hypotheses import equations, lipschitz
from ocdl.arrays import Array, is_real, is_whole
from ocdl.errors import InvalidInput, NotSupported

SHARE = 1e-3  # of the tolerance that even the narrowest window may use
NARROWEST = 1e-9  # a window, relative to all: it is kept, and its bound tells


@dataclass(frozen=True, eq=False)
class Picard:
    """The evolution found, and at each of its depths what ‖f − found‖ is at most, ``bound`` (K, S)."""

    evolution: Evolution
    bound: Array
    windows: tuple[Window, ...]
    finding: Finding

    @property
    def factor(self) -> float:
        """C_2 of all windows."""
        return sum(window.factor for window in self.windows)


def picard_factor(flow: Flow) -> Array:
    """sup |σ'| ‖b‖_{L²(Y×Y)} of every layer (N,); times its width, and summed, Picard's factor C_2(T)."""
    return flow.activation.lipschitz * np.array([B.hilbert_schmidt_norm for B in equations(flow)])


def picard(
    flow: Flow,
    initial: Callable[[Array], Any] | Any,
    *,
    tolerance: float = 1e-10,
    factor: float = 0.5,
    degree: int = 12,
    times: Any = None,
) -> Picard:
    """Solve by Picard's iteration, from f_I (M,) or (S, M), or a function of the nodes.

    tolerance: the aim of the error that all windows add up to; what they pass on grows by e^{C_2}, as ``bound`` says.
    factor: C_2 of a window at most; above 1 Volterra's bound alone is left. degree: Gauss's points of a window.
    times: where to report, as of ``Flow.evolve``. Raises NotSupported where sup |σ'| is infinite.
    """
    _check(tolerance, factor, degree)
    rates = picard_factor(flow)
    if not np.all(np.isfinite(rates)):
        raise NotSupported(f"picard: {flow.activation!r} is not Lipschitz, which Theorem 3.1 needs.")
    x0 = np.atleast_2d(nodal_values("initial", initial, flow.nodes, flow.weights.size, rows=True))
    t = reported_depths(times, flow.times)
    windows = tuple(_windows(flow, x0, rates, tolerance, factor, int(degree)))
    return _reported(flow, t, windows)


def _check(tolerance: Any, factor: Any, degree: Any) -> None:
    if not is_real(tolerance) or not 0.0 < tolerance < 1.0:
        raise InvalidInput(f"picard(tolerance={tolerance!r}): a number above 0 and below 1 is needed.")
    if not is_real(factor) or not 0.0 < factor <= 20.0:
        raise InvalidInput(f"picard(factor={factor!r}): a number above 0, at most 20, is needed.")
    if not is_whole(degree) or not 1 <= degree <= 60:
        raise InvalidInput(f"picard(degree={degree!r}): a whole number from 1 to 60 is needed.")


def _windows(flow: Flow, x: Array, rates: Array, tolerance: float, factor: float, degree: int) -> Iterator[Window]:
    """From the first depth to the last, each as wide as ``factor`` and its share of the tolerance let it be."""
    total = float(flow.times[-1] - flow.times[0])
    for k in range(flow.count):
        t, end = float(flow.times[k]), float(flow.times[k + 1])
        widest = factor / rates[k] if rates[k] > 0.0 else math.inf
        width = widest
        while t < end:
            equal = max(1, math.ceil((end - t) / width - 1e-9))
            width = (end - t) / equal
            share = tolerance * max(width / total, SHARE)
            window = swept(flow, k, t, width, x, float(rates[k]), share, degree)
            if np.any(window.error > share + window.rounding) and width > NARROWEST * total:
                width *= 0.5
                continue
            yield window
            t = end if equal == 1 else window.end
            x = window.last
            width = min(2.0 * width, widest)


def _reported(flow: Flow, t: Array, windows: tuple[Window, ...]) -> Picard:
    begins = np.array([window.begin for window in windows])
    at = np.clip(np.searchsorted(begins, t, side="right") - 1, 0, len(windows) - 1)
    x = np.empty((t.size, *windows[0].start.shape))
    bound, before = np.empty(x.shape[:2]), np.zeros(x.shape[1])
    for w, window in enumerate(windows):
        before = math.exp(window.factor) * before + window.error
        x[at == w] = window.at(t[at == w])
        bound[at == w] = before
    layers = np.clip(np.searchsorted(flow.times, t, side="right") - 1, 0, flow.count - 1)
    finding = Finding(
        "Liu and Markowich, Theorem 3.1",
        (lipschitz(flow.activation),),
        f"f exists, is unique, and within {float(bound.max()):.2g} of Picard's iteration",
    )
    return Picard(Evolution(flow, t, x, layers), bound, windows, finding)
