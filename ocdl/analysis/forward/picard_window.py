"""One window of Picard's iteration: sweeps through Gauss's points, and all that they may be wrong by.

See ``ocdl.analysis.picard`` for the formulas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ocdl.analysis.flow import Flow
from ocdl.arrays import Array
from ocdl.depth.control_shapes import lagrange
from ocdl.depth.schemes import lagrange_integrals
from ocdl.sweeps.fused.layer import DenseLayer

EPS = float(np.finfo(float).eps)
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

    @property
    def last(self) -> Array:
        """f at the end (S, M)."""
        return self.start + self.width * np.tensordot(_rule(len(self.slopes)).weights, self.slopes, axes=1)

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


def swept(flow: Flow, k: int, begin: float, width: float, x: Array, rate: float, share: float, degree: int) -> Window:
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
