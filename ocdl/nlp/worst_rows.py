"""What the rows and variables of a transcription mean: the worst rows of an iterate, and where it is not finite."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.nlp.transcription import Transcription
from ocdl.referee.constraints import missed
from ocdl.referee.outcome import Status
from ocdl.solving.diagnosis import LOST, NOTEWORTHY, Miss, Points, listed, located, state_name

Array = NDArray[np.float64]

BEYOND = "Every formula is finite at the last iterate itself: the step from it met the NaN."
NAMED = 2000  # rows that are told apart


def explanation(transcription: Transcription, w: Array, status: Status) -> str:
    """Why a solve failed, as far as its last iterate w shows it."""
    if status is Status.NOT_A_NUMBER:
        said = not_finite(transcription, w)
        return f"{LOST} at the last iterate: {said}" if said else BEYOND
    said = worst_rows(transcription, w, remedy=status is not Status.ITERATION_LIMIT)
    return f"{_counted(transcription)} {said}".strip() if status is Status.OVERDETERMINED else said


def _counted(transcription: Transcription) -> str:
    equations = np.count_nonzero(np.equal(*transcription.row_bounds()))
    free = np.count_nonzero(np.less(*transcription.bounds()))
    return f"{equations} equations in {free} variables that are free."


def worst_rows(transcription: Transcription, w: Array, remedy: bool = True) -> str:
    """The equations and constraints that w misses most, in the user's terms; empty where it misses none."""
    at = w / transcription.variable_scale
    values = np.asarray(transcription.program.objective(at, transcription.parameters)[1]).ravel()
    values = values / transcription.row_scale
    low, high = transcription.row_bounds()
    missing = np.nan_to_num(np.maximum(np.maximum(low - values, values - high), 0.0))
    worst = [int(row) for row in np.argsort(-missing)[:NAMED] if missing[row] > NOTEWORTHY]
    names = _Names(transcription)
    misses = [names.miss(row, values[row], low[row], high[row], missing[row]) for row in worst]
    return listed(transcription.problem, misses, "Unmet at the last iterate:", remedy)


class _Names:
    """Rows of g: layer by layer and sample by sample dynamics, lift, path; then boundary, free initial states, and
    budgets.
    """

    def __init__(self, transcription: Transcription) -> None:
        self.problem, self.t, self.h = transcription.problem, transcription.t, transcription.h
        self.c = transcription.tableau.c
        self.boundary_rows = self.problem.rows("boundary")
        self.path_rows = self.problem.rows("path")
        beyond = self.problem.samples * self.boundary_rows + len(self.problem.free_initial)
        beyond += len(self.problem.budgets)
        self.layer_rows = transcription.row_scale.size - beyond
        self.dynamics = (len(transcription.own) + 1) * self.problem.n
        self.lifted = transcription.lifted_stages * self.problem.lifted

    def miss(self, row: int, value: float, low: float, high: float, amount: float) -> Miss:
        kind, name, place, sample = self._named(row)
        residual = f"residual {abs(value):.2g}" if kind == "dynamics" else missed(value, low, high)
        sampled = f"sample {sample}" if self.problem.samples > 1 else ""
        return Miss(kind, name, ", ".join(filter(None, (place, sampled))), residual, float(amount))

    def _named(self, row: int) -> tuple[str, str, str, int]:
        """Kind, name, place and sample."""
        problem, S = self.problem, self.problem.samples
        if row < self.layer_rows:
            k, sample, j = (
                int(v) for v in np.unravel_index(row, (self.h.size, S, self.layer_rows // (self.h.size * S)))
            )
            where = f"in layer {k} (t = {self.t[k]:g})"
            if j < self.dynamics:
                return "dynamics", f"dynamics of {state_name(problem, j % problem.n)}", where, sample
            if j < self.dynamics + self.lifted:
                return "dynamics", f"lift row {(j - self.dynamics) % problem.lifted}", where, sample
            stage, i = divmod(j - self.dynamics - self.lifted, self.path_rows)
            return "path", f"path row {i}", f"at t = {self.t[k] + self.c[stage] * self.h[k]:g} (layer {k})", sample
        row -= self.layer_rows
        if row < S * self.boundary_rows:
            sample, i = divmod(row, self.boundary_rows)
            return "boundary", f"boundary row {i}", "", sample
        row -= S * self.boundary_rows
        if row >= len(problem.free_initial):
            return "budget", f"budget of {problem.budgets[row - len(problem.free_initial)].control}", "", 0
        sample, i = problem.free_initial[row]
        return "dynamics", f"free initial state {state_name(problem, i)}", "", sample


def not_finite(transcription: Transcription, w: Array) -> str:
    """The formula, or derivative of one, that is not finite at w, with its arguments; empty where all are."""
    return located(transcription.problem, iterate_points(transcription, w))


def iterate_points(transcription: Transcription, w: Array) -> Points:
    """The stages of w, and what its states, controls and lifted variables are there."""
    problem, places, tableau = transcription.problem, transcription.places, transcription.tableau
    N, S, n, s = transcription.h.size, problem.samples, problem.n, tableau.stages
    t = np.broadcast_to((transcription.t[:-1, None] + transcription.h[:, None] * tableau.c)[:, None], (N, S, s))
    controls = transcription.shape_weights @ w[places.u][transcription.shape_columns]
    u = np.broadcast_to(controls[:, None], (N, S, s, problem.m))
    p = w[places.p]
    x = np.empty((N, S, s, n))
    x[:, :, transcription.at_start] = w[places.x[:-1]][:, :, None]
    if transcription.depth.condensed:
        _eliminated(transcription, x, t, u, p, w[places.x[:-1]])
    else:
        x[:, :, transcription.at_end] = w[places.x[1:]][:, :, None]
        x[:, :, transcription.own] = w[places.stages]
    z = w[places.z].reshape(N * S * s, -1) if problem.lifted and transcription.lifted_stages else None
    return Points(
        t=t.ravel(),
        x=x.reshape(-1, n),
        u=u.reshape(N * S * s, -1),
        p=p,
        layer=np.repeat(np.arange(N), S * s),
        sample=np.tile(np.repeat(np.arange(S), s), N),
        z=z,
        ends=(w[places.x[0]], w[places.x[-1]]),
    )


def _eliminated(transcription: Transcription, x: Array, t: Array, u: Array, p: Array, begin: Array) -> None:
    """Fill the stages of a condensed scheme, which is explicit: X_i = x_k + h Σ a_ij φ_j."""
    problem, (N, S, s, n) = transcription.problem, x.shape
    rate, data = Batch(problem.rate, shared=(3,)), np.tile(np.asarray(problem.data).T, (1, N))
    slopes = np.zeros_like(x)
    for i in range(s):
        x[:, :, i] = begin + transcription.h[:, None, None] * np.einsum(
            "j,kSjn->kSn", transcription.tableau.A[i, :i], slopes[:, :, :i]
        )
        columns = t[:, :, i].reshape(1, -1), x[:, :, i].reshape(-1, n).T, u[:, :, i].reshape(N * S, -1).T
        slopes[:, :, i] = rate(*columns, p, data)[0].T.reshape(N, S, n)
