"""Flat regions: a gradient that vanishes because σ' does, where the cost is not optimal.

Where σ' > 0, one sample's gradient vanishes if and only if its costate does (Liu and Markowich, Remark 4.1). Where σ is
flat, as ReLU for s < 0, or every product of the controls vanishes, it vanishes whatever the costate; then the needles,
per stage and neuron the controls of least H, say whether other controls are better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array
from ocdl.batch import Batch
from ocdl.depth.schemes import DepthScheme
from ocdl.referee.hamiltonian import Hamiltonian
from ocdl.referee.labels import at_stages, coefficients
from ocdl.referee.solution import Solution
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper

FLAT = 1e-9  # of |∇_u ⟨Λ_s, φ_s⟩| relative to the largest |Λ|
LARGEST = 20_000_000  # entries of ∇_u over stages, samples and controls, beyond which nothing is said


def flat_needles(problem: ControlProblem, depth: DepthScheme, solution: Solution) -> tuple[int, float]:
    """How many needles gain although no sample feels their controls to first order, and how much they gain together."""
    S, n, points = problem.samples, problem.n, depth.count * depth.tableau.stages
    tells = (
        problem.m
        and not problem.budgets
        and problem.path is None
        and not problem.has_running_cost
        and not problem.bounds.varies("u")
    )
    if not tells or points * S * problem.m > LARGEST:
        return 0, 0.0
    u, p = coefficients(problem, depth, solution)
    sweeper = Sweeper(problem, depth)
    x, costate = (values.reshape(-1, S, n) for values in at_stages(problem, depth, solution))
    t, controls = np.repeat(sweeper.stage_t.reshape(-1, 1), S, axis=1), sweeper.stage_controls(u)
    costate = np.nan_to_num(costate)
    law, omega = Hamiltonian(problem), np.asarray(problem.weights)
    gradient = np.abs(law.column_gradients(t, x, costate, omega, controls, p)).max(axis=1)
    level = gradient <= FLAT * np.max(np.abs(costate))
    if not np.any(level):
        return 0, 0.0
    decrease, group = _decrease(law, t, x, costate, controls, p)
    flat = np.stack([level[:, group == g].all(axis=1) for g in range(decrease.shape[1])], axis=1) & (decrease > 0.0)
    gains = (sweeper.h[:, None] * sweeper.tableau.b).ravel()[:, None] * decrease
    return int(np.count_nonzero(flat)), float(gains[flat].sum())


def _decrease(
    law: Hamiltonian, t: Array, x: Array, costate: Array, u: Array, p: Array
) -> tuple[Array, NDArray[np.intp]]:
    """H(u) − min H of every group of controls that meet, (K, G), and the group of every control, (m,)."""
    problem, omega = law.problem, np.asarray(law.problem.weights)
    if law.closed_form:
        assert problem.velocity_box is not None
        M, data = problem.n, np.repeat(np.asarray(problem.data).T, len(u), axis=1)
        rates = Batch(problem.rate, shared=(3,))(t.T, x[:, 0].T, u.T, p, data)[0].T
        slow, fast = problem.velocity_box.velocities(x[:, 0])
        least = np.minimum(costate[:, 0] * slow, costate[:, 0] * fast)
        return costate[:, 0] * rates - least, np.concatenate([np.arange(M), np.repeat(np.arange(M), M)])
    if law.separated.small:
        decrease, _ = law.separated.minimum(t, x, costate, omega, u, p)
        group = np.empty(problem.m, dtype=np.intp)
        group[law.separated.groups] = np.arange(len(law.separated.groups))[:, None]
        return decrease, group
    least, _ = law.minimum(t, x, costate, omega, u, p)
    return (law.values(t, x, costate, omega, u, p)[0] - least)[:, None], np.zeros(problem.m, dtype=np.intp)
