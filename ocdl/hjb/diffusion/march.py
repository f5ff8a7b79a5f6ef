"""The march: Euler's implicit method backwards in time, and Howard's policy iteration in every step.

(1 − hA_u) V = V⁺ + hL_u with u = argmin of the chain's Hamiltonian at V: monotone and stable for every step h, of first
order in h. Sources: Howard (1960); Forsyth and Labahn (2007), "Numerical methods for controlled HJB PDEs in finance".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ocdl.errors import SolveFailed
from ocdl.hjb.diffusion.chain import Chain
from ocdl.hjb.diffusion.policy import improved
from ocdl.interrupts import interruptible
from ocdl.progress import progress_bar

Array = NDArray[np.float64]

POLICIES = 60  # in one step
SETTLED = 1e-9  # relative residual of a step


def marched(chain: Chain, t: Array, progress: bool | None) -> tuple[Array, Array]:
    """V (N+1, Q) at depths t (N+1,) and controls u (N, Q, m) from each on, backwards from the terminal loss.

    SolveFailed where the policies of a step do not settle, or V is not finite.
    """
    coefficients, states = chain.coefficients, chain.nodes.states
    values = np.empty((t.size, len(states)))
    values[-1] = coefficients.terminal(states)
    low, high = coefficients.box(t[-2])
    u = np.tile(0.5 * (low + high), (len(states), 1))
    policy = np.empty((t.size - 1, *u.shape))
    shape = " × ".join(map(str, chain.nodes.shape))
    with interruptible(), progress_bar(f"second order, {shape} nodes", t.size - 1, progress=progress) as bar:
        for n in range(t.size - 2, -1, -1):
            values[n], u = _step(chain, float(t[n]), float(t[n + 1] - t[n]), values[n + 1], u)
            policy[n] = u
            bar.update(1)
    return values, policy


def _step(chain: Chain, t: float, h: float, later: Array, u: Array) -> tuple[Array, Array]:
    """V (Q,) and controls a step h earlier: V⁺ + h min H(V) = V, whose residual bounds the error of V."""
    value, (low, high) = later, chain.coefficients.box(t)
    for k in range(POLICIES):
        now = value

        def hamiltonian(trial: Array, now: Array = now) -> Array:
            return chain.moves(t, trial, now).hamiltonian(now)

        u, least = improved(hamiltonian, u, low, high, everywhere=k == 0)
        if np.max(np.abs(later + h * least - value)) <= SETTLED * (1.0 + np.max(np.abs(value))):
            return value, u
        value = chain.moves(t, u, now).step(later, h)
        if not np.all(np.isfinite(value)):
            raise SolveFailed(f"StochasticValueIteration: V is not finite at t = {t:g}.")
    raise SolveFailed(f"StochasticValueIteration: the policies at t = {t:g} do not settle; take more steps.")
