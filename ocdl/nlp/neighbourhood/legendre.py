"""Legendre and Clebsch: is the Hamiltonian strictly convex in the controls that are free to move?"""

from __future__ import annotations

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.batch import evaluated
from ocdl.nlp.neighbourhood.linearised import Linearised

Array = NDArray[np.float64]


def curvatures(linearised: Linearised) -> tuple[Array, float]:
    """The least eigenvalue (N,) of H_uu in the middle of every layer on the controls that neither bounds
    nor active rows of path hold, NaN where none is free; and the size of H_uu.

    H = Σ_s ⟨p_s, φ_s⟩ + ω_s L_s + ⟨μ_s, c_s⟩ + E, with the multipliers μ of path per unit of depth.
    """
    transcription = linearised.transcription
    places, N = transcription.places, transcription.h.size
    columns = transcription.shape_columns
    H = _second(linearised)
    least = np.full(N, np.nan)
    free = np.any(~linearised.active.held[places.u[columns]], axis=1)  # (N, m)
    for k in np.flatnonzero(np.any(free, axis=1)):
        Z = _tangent(linearised, int(k), columns[k])
        Z = scipy.linalg.null_space(np.concatenate([Z, np.eye(free.shape[1])[~free[k]]]))
        if Z.size:
            least[k] = np.linalg.eigvalsh(Z.T @ H[k] @ Z)[0]
    return least, float(np.max(np.abs(H), initial=0.0))


def _second(linearised: Linearised) -> Array:
    """H_uu (N, m, m) along states and costates in the middle of every layer."""
    transcription, w = linearised.transcription, linearised.w
    problem, places, t = transcription.problem, transcription.places, transcription.t
    N, S, m, rows = transcription.h.size, problem.samples, problem.m, problem.rows("path")
    half = np.array([0.5])
    weights = transcription.depth.controls.weights(half, transcription.tableau.c)[0]
    u = np.einsum("j,kjm->km", weights, w[places.u][transcription.shape_columns])
    x = w[places.x]
    costate, _ = transcription.costates(w, linearised.multipliers)
    pressing = np.zeros((N, S, rows))
    if rows:
        along = transcription.constraint_multipliers(w, linearised.multipliers).path
        pressing = along.sum(axis=1) / transcription.h[:, None, None]
    middle = np.repeat(0.5 * (t[:-1] + t[1:]), S)[None, :]
    p = np.tile(w[places.p][:, None], N * S)
    given = [middle, _middle(x), np.repeat(u, S, axis=0).T, p, np.tile(np.asarray(problem.data).T, (1, N))]
    given += [_middle(costate), np.tile(np.asarray(problem.weights), N)[None, :], pressing.reshape(N * S, rows).T]
    (found,) = evaluated(_function(linearised).map(N * S), *given)
    return np.asarray(found.T.reshape(N, S, m, m).sum(axis=1))


def _middle(nodes: Array) -> Array:
    """(N+1, S, n) → (n, N·S)."""
    return np.asarray((0.5 * (nodes[:-1] + nodes[1:])).reshape(-1, nodes.shape[2]).T)


def _function(linearised: Linearised) -> ca.Function:
    """(t, x, u, p, d, costate, weight, μ) → one sample's H_uu; the effort's is shared out by weights of sum 1."""
    problem = linearised.transcription.problem
    s = problem.symbols()
    costate, weight = ca.SX.sym("costate", problem.n), ca.SX.sym("weight")
    pressing = ca.SX.sym("pressing", problem.rows("path"))
    H = ca.dot(costate, problem.rate(*s.values())) + weight * problem.evaluate("running", **s)
    H += weight * problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])
    if problem.path is not None:
        H += ca.dot(pressing, problem.evaluate("path", **s))
    second = ca.densify(ca.hessian(H, s["u"])[0])
    return ca.Function("legendre", [*s.values(), costate, weight, pressing], [ca.vec(second)])


def _tangent(linearised: Linearised, k: int, columns: NDArray[np.int64]) -> Array:
    """Derivatives (active rows, m) of path in the controls of layer k, each row added up over its stages."""
    transcription, piece = linearised.transcription, linearised.pieces[0]
    S, places = transcription.problem.samples, transcription.places
    m, path = places.u.shape[1], transcription.tableau.stages * transcription.problem.rows("path")
    if not path:
        return np.zeros((0, m))
    found, stages = [], transcription.tableau.stages
    for e in range(k * S, (k + 1) * S):
        active = linearised.active.rows[piece.kind.rows[-path:, e]].reshape(stages, -1)
        order = [np.flatnonzero(piece.kind.variables[:, e] == name)[0] for name in places.u[columns].ravel()]
        by_control = piece.jacobian[e][-path:][:, order].reshape(stages, -1, len(columns), m).sum(axis=2)
        found.append(np.where(active[..., None], by_control, 0.0).sum(axis=0)[np.any(active, axis=0)])
    return np.concatenate(found)
