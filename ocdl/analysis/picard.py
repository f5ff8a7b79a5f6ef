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
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ocdl.analysis.findings import Finding
from ocdl.analysis.flow import Evolution, Flow, nodal_values, reported_depths
from ocdl.analysis.hypotheses import equations, lipschitz
from ocdl.arrays import Array, is_real, is_whole
from ocdl.depth.control_shapes import lagrange
from ocdl.depth.schemes import lagrange_integrals
from ocdl.errors import InvalidInput, NotSupported
from ocdl.sweeps.fused.layer import DenseLayer

EPS = float(np.finfo(float).eps)
SHARE = 1e-3  # of the tolerance that even the narrowest window may use
NARROWEST = 1e-9  # a window, relative to all: it is kept, and its bound tells
MOST_SWEEPS = 200
STEEPER = 1.5  # u may move between two of the finer points than at them


@dataclass(frozen=True, eq=False)
class Window:
    """Picard's iteration on [begin, begin + width] of one layer; norms of samples (S,).

    factor: C_2. start: f at begin (S, M). slopes: σ(a − Bfⁿ⁻¹) at Gauss's points (D, S, M). steps: ‖f^{m+1} − f^m‖ of
    every sweep (n, S). quadrature, rounding: their parts of the error at the end of the window.
    """

    begin: float
    width: float
    layer: int
    factor: float
    start: Array
    slopes: Array
    steps: Array
    quadrature: Array
    rounding: Array

    @property
    def sweeps(self) -> int:
        return len(self.steps)

    @property
    def end(self) -> float:
        return self.begin + self.width

    def at(self, t: Array) -> Array:
        """f at depths t (K,) of the window, (K, S, M)."""
        nodes = _rule(len(self.slopes)).nodes
        integrals = lagrange_integrals(nodes, (t - self.begin) / self.width)
        return self.start + self.width * np.tensordot(integrals, self.slopes, axes=1)

    def contraction(self, n: int) -> Array:
        """C_2ⁿ/(1 − C_2) ‖f¹ − f⁰‖ (S,), infinite where C_2 ≥ 1."""
        return self.steps[0] * (self.factor**n / (1.0 - self.factor) if self.factor < 1.0 else math.inf)

    def volterra(self, n: int) -> Array:
        """Σ_{m≥n} C_2^m/m! ‖f¹ − f⁰‖ (S,)."""
        return self.steps[0] * _tail(self.factor, n)

    @property
    def iteration(self) -> Array:
        """The smaller of both, of all sweeps."""
        return np.fmin(self.contraction(self.sweeps), self.volterra(self.sweeps))

    @property
    def error(self) -> Array:
        """All that the window itself adds (S,)."""
        return self.iteration + self.quadrature + self.rounding


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
            window = _window(flow, k, t, width, x, float(rates[k]), share, degree)
            if np.any(window.error > share + window.rounding) and width > NARROWEST * total:
                width *= 0.5
                continue
            yield window
            t = end if equal == 1 else window.end
            x = window.start + width * np.tensordot(_rule(degree).weights, window.slopes, axes=1)
            width = min(2.0 * width, widest)


def _window(flow: Flow, k: int, begin: float, width: float, x: Array, rate: float, share: float, degree: int) -> Window:
    """As many sweeps as Volterra's bound needs for half of the share, all known after the first."""
    layer, norm, rule = flow.layer(k), flow.norm, _rule(degree)
    slopes = np.broadcast_to(np.asarray(layer(x)), (degree, *x.shape))
    C = rate * width
    steps, missed = [width * norm(slopes[0])], [np.zeros(len(x))]
    sweeps = _needed(C, 0.5 * share / max(float(steps[0].max()), EPS))
    for _ in range(1, sweeps):
        u = layer.preactivation(x + width * np.tensordot(rule.to_fine, slopes, axes=1))
        new = np.asarray(layer(x + width * np.tensordot(rule.to_nodes, slopes, axes=1)))
        left = np.asarray(layer.activation(u)) - np.tensordot(rule.through, new, axes=1)
        between = _between(layer, u, width * np.diff(rule.fine), np.tensordot(rule.through, slopes, axes=1))
        missed.append(width * np.tensordot(rule.fine_weights, norm(left), axes=1) + norm(between).sum(axis=0))
        steps.append(width * norm(np.tensordot(rule.to_fine, new - slopes, axes=1)).max(axis=0))
        slopes = new
    powers = np.array([C**j / math.factorial(j) for j in range(sweeps)])
    quadrature = powers @ np.array(missed[::-1])
    rounding = _rounding(flow, layer, x, slopes, width, C)
    return Window(begin, width, k, C, x, slopes, np.array(steps), quadrature, rounding)


def _between(layer: DenseLayer, u: Array, gaps: Array, velocity: Array) -> Array:
    """What kinks of σ between two points in t may hide from a quadrature, (Q − 1, S, M), of u and ∂t f at them.

    Where u may pass a kink c of σ between two points, by at most d more than they show, σ(u) is off a smooth course by
    at most d times the jump of σ', and that all through the gap.
    """
    out = np.zeros((len(gaps), *u.shape[1:]))
    if not layer.activation.kinks:
        return out
    speed = np.abs(velocity @ layer.W.T)
    way = STEEPER * np.maximum(speed[1:], speed[:-1]) * gaps[:, None, None]
    jump = layer.activation.lipschitz * (1.0 if layer.activation.increasing else 2.0)
    for kink in layer.activation.kinks:
        begin, end = u[:-1] - kink, u[1:] - kink
        nearer, sum_ = np.minimum(np.abs(begin), np.abs(end)), np.abs(begin) + np.abs(end)
        depth = np.where(begin * end < 0.0, nearer, 0.5 * np.fmax(way - sum_, 0.0))
        out += jump * depth * gaps[:, None, None]
    return out


def _rounding(flow: Flow, layer: DenseLayer, x: Array, slopes: Array, width: float, C: float) -> Array:
    """Of sums of M products in a − Bf, of σ and of the additions, (S,)."""
    M, ell, W = x.shape[1], flow.activation.lipschitz, np.abs(layer.W)
    speed = flow.norm(slopes).max(axis=0)
    in_u = flow.norm(np.abs(layer.v) + (np.abs(x) + width * np.abs(slopes).max(axis=0)) @ W.T)
    return 4.0 * EPS * math.exp(C) * (flow.norm(x) + width * speed * len(slopes) + ell * width * M * in_u)


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


def _needed(C: float, share: float) -> int:
    """The least n ≥ 2 whose tail is at most ``share``."""
    share = max(share, EPS)
    return next((n for n in range(2, MOST_SWEEPS) if _tail(C, n) <= share), MOST_SWEEPS)


def _tail(C: float, n: int) -> float:
    """Σ_{m≥n} C^m/m!."""
    total, m = 0.0, n
    term = math.exp(n * math.log(C) - math.lgamma(n + 1.0)) if C > 0.0 else float(n == 0)
    while term > EPS * total:
        total, m = total + term, m + 1
        term *= C / m
    return total


class _Rule(NamedTuple):
    """On [0, 1]: Gauss's points (D,) and weights, ∫_0^{c_i} ℓ_j between them; finer points with both ends, weights of
    their own, and ∫_0^θ ℓ_j and ℓ_j there (Q, D).
    """

    nodes: Array
    weights: Array
    to_nodes: Array
    fine: Array
    fine_weights: Array
    to_fine: Array
    through: Array


@lru_cache(maxsize=64)
def _rule(degree: int) -> _Rule:
    nodes, weights = (0.5 * part for part in np.polynomial.legendre.leggauss(degree))
    fine, fine_weights = (0.5 * part for part in np.polynomial.legendre.leggauss(3 * degree + 1))
    nodes, fine = nodes + 0.5, np.concatenate([[0.0], fine + 0.5, [1.0]])
    return _Rule(
        nodes,
        weights,
        lagrange_integrals(nodes, nodes),
        fine,
        np.concatenate([[0.0], fine_weights, [0.0]]),
        lagrange_integrals(nodes, fine),
        lagrange(nodes, fine),
    )
