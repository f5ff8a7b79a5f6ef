"""A layer of finite rank crossed: c by the integrator, f by c and ∫ σ(u) dt, which check each other."""

from __future__ import annotations

import numpy as np

from ocdl.analysis.forward.finite_rank_layer import FiniteRankLayer
from ocdl.analysis.forward.integrals import integrals
from ocdl.arrays import Array
from ocdl.depth.integration import NotFollowed, integrated
from ocdl.sweeps.sweeper import SweepFailed

WITHIN = 10.0  # times the tolerance of a step: how far f may be apart from c over a layer
TIGHTEST = 1e-13  # the least tolerance of a step that is tried for it


def crossed(
    layer: FiniteRankLayer, a: float, b: float, f: Array, tolerance: float, t: Array
) -> tuple[Array, Array, float]:
    """f (K, S, M) at depths t of a layer from a to b, f at b, and by how much (3.3) and c are apart there at most."""
    step = tolerance
    while True:
        x, end, apart = _once(layer, a, b, f, step, t)
        excess = apart / (WITHIN * tolerance * (1.0 + float(np.max(layer.length(end)))))
        if excess <= 1.0 or step <= TIGHTEST:
            return x, end, apart
        step = max(TIGHTEST, 0.1 * step / min(excess, 100.0))


def _once(
    layer: FiniteRankLayer, a: float, b: float, f: Array, tolerance: float, t: Array
) -> tuple[Array, Array, float]:
    shape = (len(f), layer.mu.size)

    def rate(_: float, c: Array) -> Array:
        return layer.inner(layer.velocity(c.reshape(shape))).ravel()

    try:
        found = integrated(rate, a, b, layer.inner(f).ravel(), tolerance)
    except NotFollowed as error:
        raise SweepFailed(f"evolve: from t = {error.reached:g} on the states escape or change too fast.") from None

    def course(depths: Array) -> Array:
        return np.asarray(found.sol(depths.ravel()).T).reshape(*depths.shape, *shape)

    cuts = np.unique(np.concatenate([found.t, t]))
    x = np.concatenate([f[None], f + np.cumsum(integrals(layer, course, cuts, tolerance, f.shape), axis=0)])
    by = layer.moved(x, course(cuts))
    x[1:] += by[1:]
    return x[np.searchsorted(cuts, t)], x[-1], float(np.max(layer.length(by[1:])))
