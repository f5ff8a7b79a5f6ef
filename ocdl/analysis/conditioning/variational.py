"""The variational equation along a trajectory, forward and adjoint, from depth to depth; and norms of what comes out.

    Ṁ = φ'(x(t)) M,   Ṗ = −φ'(x(t))ᵀ P,

integrated beside x with error control, or the Jacobians of a network's own steps, in coordinates √w∘f.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import scipy

from ocdl.analysis.flow import Evolution, Flow
from ocdl.arrays import Array
from ocdl.depth.integration import NotFollowed, integrated
from ocdl.sweeps.sweeper import SweepFailed

WHOLE = 200  # states, up to which all singular values are computed; of more, the extreme ones by Lanczos's method
POINTS = 4  # Gauss's, of the integrals of norms in each piece


def extreme_singular_values(M: Array) -> Array:
    """The largest and the smallest singular value of matrices (..., n, n), (..., 2).

    Up to ``WHOLE`` rows by the whole decomposition; beyond by Lanczos's method for MᵀM and its inverse, from an LU
    factorisation of M.
    """
    if M.shape[-1] <= WHOLE:
        return np.asarray(np.linalg.svd(M, compute_uv=False)[..., [0, -1]])
    flat = [_by_lanczos(one) for one in M.reshape(-1, *M.shape[-2:])]
    return np.reshape(flat, (*M.shape[:-2], 2))


def _by_lanczos(M: Array) -> tuple[float, float]:
    n = M.shape[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.linalg.LinAlgWarning)  # it is seen below
        lu = scipy.linalg.lu_factor(M, check_finite=False)

    def largest(product: Callable[[Array], Array]) -> float:
        squared = scipy.sparse.linalg.LinearOperator((n, n), matvec=product, dtype=float)
        start = np.cos(np.arange(n))
        return float(scipy.sparse.linalg.eigsh(squared, k=1, v0=start, return_eigenvectors=False)[0])

    def inverse(x: Array) -> Array:
        return np.asarray(scipy.linalg.lu_solve(lu, scipy.linalg.lu_solve(lu, x, trans=1)))

    singular = np.min(np.abs(np.diag(lu[0]))) == 0.0
    return largest(lambda x: M.T @ (M @ x)) ** 0.5, 0.0 if singular else largest(inverse) ** -0.5


def of_steps(evolution: Evolution) -> tuple[Array, Array, Array, Array]:
    """The Jacobians J of the steps (N, S, n, n); log (1 + ‖J − 1‖), log ‖J‖ and log σ_min(J), (N, S) each."""
    flow = evolution.flow
    root, eye = np.sqrt(flow.weights), np.eye(flow.weights.size)
    steps = zip(flow.steps(), evolution.x[:-1], strict=True)
    pieces = np.stack([root[:, None] * step.jacobian(x) / root for step, x in steps])
    crude = np.log1p([extreme_singular_values(J - eye)[:, 0] for J in pieces])
    with np.errstate(divide="ignore"):  # a step may lose information
        ends = np.log([extreme_singular_values(J) for J in pieces])
    return pieces, crude, ends[..., 0], ends[..., 1]


def of_pieces(evolution: Evolution, tolerance: float) -> tuple[Array, Array, Array, Array]:
    """M from depth to depth (K−1, S, n, n); ∫‖φ'‖, ∫m(φ') and −∫m(−φ'), (K−1, S) each."""
    e, n = evolution, evolution.x.shape[-1]
    found = np.empty((len(e.t) - 1, e.x.shape[1], n * n + 3))
    for i, (a, b) in enumerate(pairwise(e.t.tolist())):
        for s, x in enumerate(e.x[i]):
            found[i, s] = _piece(e.flow, a, b, x, tolerance)
    return found[..., 3:].reshape(*found.shape[:2], n, n), found[..., 0], found[..., 1], found[..., 2]


def _piece(flow: Flow, a: float, b: float, x: Array, tolerance: float) -> Array:
    """∫‖φ'‖, ∫m(φ'), −∫m(−φ') and M(b, a) along the trajectory from x (n,), across as many layers as there are."""
    n, M, logs = x.size, np.eye(x.size), np.zeros(3)
    places, weights = np.polynomial.legendre.leggauss(POINTS)
    for k, t, end in _layers(flow, a, b):

        def rate(_: float, y: Array, k: int = k) -> Array:
            return np.concatenate([flow.layer(k)(y[:n]), (flow.linearised(k, y[:n]) @ y[n:].reshape(n, n)).ravel()])

        found = _followed(rate, t, end, np.concatenate([x, M.ravel()]), tolerance)
        along = found.sol(t + 0.5 * (end - t) * (1.0 + places))[:n].T
        logs += 0.5 * (end - t) * (np.stack(log_norms(flow.linearised(k, along))) @ weights)
        x, M = found.y[:n, -1], found.y[n:, -1].reshape(n, n)
    return np.concatenate([logs, M.ravel()])


def pulled_back(flow: Flow, a: float, b: float, x: Array, P: Array, tolerance: float) -> Array:
    """P(a) of Ṗ = −φ'ᵀP with P(b) = P, along the trajectory from x at a."""
    n, there = x.size, []
    for k, t, end in _layers(flow, a, b):
        there.append((k, t, end, _followed(lambda _, y, k=k: flow.layer(k)(y), t, end, x, tolerance)))
        x = there[-1][-1].y[:, -1]
    for k, t, end, found in reversed(there):

        def rate(s: float, y: Array, k: int = k, at: float = t + end, found: Any = found) -> Array:
            return np.asarray(flow.linearised(k, found.sol(at - s)).T @ y.reshape(n, n)).ravel()

        P = _followed(rate, t, end, P.ravel(), tolerance).y[:, -1].reshape(n, n)
    return P


def _layers(flow: Flow, a: float, b: float) -> Iterator[tuple[int, float, float]]:
    """The layers between two depths, and where they begin and end."""
    inner = flow.times[(flow.times > a) & (flow.times < b)]
    for t, end in pairwise([a, *inner.tolist(), b]):
        yield int(np.searchsorted(flow.times, t, side="right")) - 1, t, end


def _followed(rate: Callable[..., Array], a: float, b: float, y: Array, tolerance: float) -> Any:
    try:
        return integrated(rate, a, b, y, tolerance)
    except NotFollowed as error:
        raise SweepFailed(
            f"along: from t = {error.reached:g} on the perturbations escape or change too fast."
        ) from None


def log_norms(A: Array) -> tuple[Array, Array, Array]:
    """‖A‖, m(A) and −m(−A) of matrices (..., n, n)."""
    symmetric = np.linalg.eigvalsh(0.5 * (A + A.swapaxes(-1, -2)))
    norms = np.linalg.norm(A, 2, axis=(-2, -1))
    return np.asarray(norms), np.asarray(symmetric[..., -1]), np.asarray(symmetric[..., 0])


def weighted_energy(flow: Flow, k: int, x: Array, w: Array) -> tuple[Array, Array]:
    """E and Ė of layer k at x and w (S, n)."""
    B, layer, sigma = flow.kernel_operator(k), flow.layer(k), flow.activation
    u = layer.preactivation(x)
    value = sigma(u)
    slope, bend = sigma.derivative(u, value), sigma.curvature(u, value)
    drift = B.inner(bend * (value @ layer.W.T) * w / slope**2, w)
    return 0.5 * B.inner(w / slope, w), -B.inner(B(w), w) - 0.5 * drift
