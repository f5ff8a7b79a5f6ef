"""Feedback from a value function: the controls to hold for the next step from given states.

``"lookahead"`` minimises running cost plus V a step ahead, also where ∇V vanishes; ``"sign"`` is the synthesis of the
maximum principle, the minimum of the Hamiltonian at ∇V. With a velocity box both are searches over θ ∈ [−1, 1]^M,
where −1 is the slowest and +1 the fastest velocity of a neuron; without, over the box of controls.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.explicit_step import explicit_step
from ocdl.depth.schemes import Tableau
from ocdl.hjb.schemes.hamiltonian import Hamiltonian
from ocdl.hjb.schemes.lookahead import Lookahead, discounted
from ocdl.hjb.schemes.state_bounds import ADMISSIBLE, Excess, Within
from ocdl.statement.problem import ControlProblem
from ocdl.statement.velocity_box import VelocityBox

Array = NDArray[np.float64]

FEEDBACKS = ("lookahead", "sign")
POLISHED = 8  # controls up to which a coordinate search ends it


class Table(Protocol):
    """V and ∇V at states x (q, D) and depths t (q,)."""

    def at(self, x: Array, t: Array) -> Array: ...

    def slope(self, x: Array, t: Array) -> Array: ...


class Feedback(Protocol):
    """Controls u (q, m) for states x (q, D), held for ``step`` (q,) from depths t (q,)."""

    def steer(self, table: Table, x: Array, t: Array, step: Array, feedback: str, law: Lookahead) -> Array: ...


class SaddleFeedback:
    """What minimises and what maximises H at ∇V: the saddle point of a game, by either feedback."""

    def __init__(self, hamiltonian: Hamiltonian) -> None:
        self._hamiltonian = hamiltonian

    def steer(self, table: Table, x: Array, t: Array, step: Array, feedback: str, law: Lookahead) -> Array:
        p = table.slope(x, t)
        found = [self._hamiltonian.at(float(now), x[t == now]).extremal(p[t == now]) for now in np.unique(t)]
        u = np.empty((len(x), found[0].shape[1]))
        for now, part in zip(np.unique(t), found, strict=True):
            u[t == now] = part
        return u


class BoxFeedback:
    """For one sample with a velocity box and no running cost."""

    def __init__(self, problem: ControlProblem, box: VelocityBox) -> None:
        self._problem, self._box = problem, box

    def steer(self, table: Table, x: Array, t: Array, step: Array, feedback: str, law: Lookahead) -> Array:
        """Controls u (q, m) for states x (q, M), held for ``step`` (q,) from depths t (q,)."""
        theta, side, tableau = -np.sign(table.slope(x, t)), np.sign(x), law.tableau
        if feedback == "lookahead":

            def ahead(candidates: Array) -> Array:
                """V after the step, (K, q), for candidates (K, q, M)."""
                count = len(candidates)
                trial = candidates.reshape(-1, x.shape[1])
                end = self._flow(np.tile(x, (count, 1)), trial, np.tile(step, count), tableau)
                return table.at(end, np.tile(t + step, count)).reshape(count, -1)

            theta = _refined(ahead, _best(ahead, _candidates(theta)))
        rows = np.flatnonzero(np.any(np.sign(self._flow(x, theta, step, tableau)) != side, axis=1))
        if feedback == "lookahead" and rows.size:
            held = self._held(table, x[rows], t[rows], step[rows], theta[rows], side[rows], tableau)
            theta[rows], side[rows] = held
        a, b = self._box.controls(x, theta, side)
        return self._problem.pack(a=a, b=b)

    def _held(
        self, table: Table, x: Array, t: Array, step: Array, theta: Array, side: Array, tableau: Tableau
    ) -> tuple[Array, Array]:
        """θ and v (q, M) of the controls a = a_c + θ a_r, b = b_c − θ vᵀ b_r best held for the whole step, where states
        change their sign in it: the extreme b then changes as well, and no one v is right throughout.
        """
        box, M = self._box, x.shape[1]

        def ahead(candidates: Array) -> Array:
            """V after the step, (K, q), for candidates (θ, v) (K, q, 2M)."""
            count = len(candidates)
            f, h = np.tile(x, (count, 1)), np.tile(step, count)[:, None]
            trial = candidates.reshape(-1, 2 * M)
            a, b = box.controls(f, trial[:, :M], trial[:, M:])

            def rate(f: Array) -> Array:
                return np.asarray(box.activation(a - np.einsum("qij,qj->qi", b, box.weights * f)))

            end = _stepped(rate, f, h, tableau)
            return table.at(end, np.tile(t + step, count)).reshape(count, -1)

        pairs = [np.concatenate([theta, v], axis=1) for v in (side, np.zeros(side.shape), -side)]
        found = _refined(ahead, _best(ahead, np.array(pairs)), radius=1.0, rounds=4)
        return found[:, :M], found[:, M:]

    def _flow(self, x: Array, theta: Array, step: Array, tableau: Tableau) -> Array:
        """One explicit Runge–Kutta step of f' = σ(s_c(f) + θ s_r(f)), s_c and s_r of the pre-activations."""

        def rate(f: Array) -> Array:
            slow, fast = self._box.preactivations(f)
            return np.asarray(self._box.activation(0.5 * (slow + fast) + 0.5 * theta * (fast - slow)))

        return _stepped(rate, x, step[:, None], tableau)


class SearchFeedback:
    """For any problem, by the search of ``Lookahead``; with ``excess``, among controls that keep bounds on states."""

    def __init__(self, excess: Excess | None = None, discount: float = 0.0) -> None:
        self._excess, self._discount = excess, discount

    def steer(self, table: Table, x: Array, t: Array, step: Array, feedback: str, law: Lookahead) -> Array:
        """Controls u (q, m) for states x (q, D), held for ``step`` (q,) from depths t (q,)."""
        slope = table.slope(x, t)
        u = law.extremal(t, x, slope, np.tile(law.centre, (len(x), 1)))
        if feedback == "sign":
            return u

        share = discounted(self._discount, step)

        def later(x: Array) -> Array:
            return share * table.at(x, t + step)

        def later_slope(x: Array) -> Array:
            return share[:, None] * table.slope(x, t + step)

        within = None
        if self._excess is not None:
            after, safe = law.safest(self._excess, [], t, step, x, u, floor=np.zeros(len(x)))
            within = Within(self._excess, np.maximum(after, 0.0) + ADMISSIBLE, safe)
        u = law.best(later, [slope], t, step, x, u, slope=later_slope, within=within, far=True)[1]

        def ahead(candidates: Array) -> Array:
            """The right-hand side (K, q) for candidates u (K, q, m)."""
            count = len(candidates)
            end, cost = law.flow(
                np.tile(t, count), np.tile(step, count), np.tile(x, (count, 1)), candidates.reshape(count * len(x), -1)
            )
            then = np.tile(t + step, count)
            total = cost + np.tile(share, count) * table.at(end, then)
            if within is not None:
                total[~(within.excess(end, then) <= np.tile(within.allowed, count) + ADMISSIBLE)] = np.inf
            return total.reshape(count, -1)

        if len(law.lattice):
            u = _best(ahead, np.concatenate([u[None], np.repeat(law.lattice[:, None], len(u), axis=1)]))
        low, high = law.problem.control_box
        if law.finite is not None or u.shape[1] > POLISHED or not np.all(np.isfinite([low, high])):
            return u
        radius, middle = np.where(high > low, 0.5 * (high - low), 1.0), 0.5 * (low + high)

        def boxed(scaled: Array) -> Array:
            """Controls scaled to [−1, 1] in the box, where a vertex of it is itself."""
            return np.clip(middle + radius * scaled, low, high)

        scaled = np.where(high > low, (u - middle) / radius, 0.0)
        polished = boxed(_refined(lambda trial: ahead(boxed(trial)), scaled, radius=0.25))
        return np.where((ahead(polished[None]) < ahead(u[None]))[0][:, None], polished, u)


def _stepped(rate: Callable[[Array], Array], x: Array, h: Array, tableau: Tableau) -> Array:
    """One explicit Runge–Kutta step of x' = rate(x)."""
    return np.asarray(explicit_step(tableau, h, [rate] * tableau.stages, x)[1])


def _candidates(theta: Array) -> Array:
    """Trial θ (K, q, M): a coarse grid for up to four neurons, else the sign feedback and its single changes."""
    M = theta.shape[1]
    if M <= 4:
        marks = np.linspace(-1.0, 1.0, {1: 9, 2: 5}.get(M, 3))
        grid = np.array(list(product(marks, repeat=M)))
        return np.broadcast_to(grid[:, None, :], (len(grid), *theta.shape))
    trials = [theta]
    for i, mark in product(range(M), (-1.0, 0.0, 1.0)):
        trials.append(theta.copy())
        trials[-1][:, i] = mark
    return np.array(trials)


def _best(ahead: Callable[[Array], Array], candidates: Array) -> Array:
    choice = np.argmin(ahead(candidates), axis=0)
    return np.take_along_axis(candidates, choice[None, :, None], axis=0)[0]


def _refined(ahead: Callable[[Array], Array], theta: Array, radius: float = 0.5, rounds: int = 3) -> Array:
    """Coordinate search: the parabola through θ_i − r, θ_i, θ_i + r, its vertex kept where lower; r is quartered."""
    for k, i in product(range(rounds), range(theta.shape[1])):
        r = radius * 0.25**k
        trials = np.repeat(theta[None], 4, axis=0)
        middle = np.clip(theta[:, i], r - 1.0, 1.0 - r)
        trials[1:, :, i] = middle - r, middle, middle + r
        left, centre, right = ahead(trials[1:])
        inside = np.isfinite(left) & np.isfinite(centre) & np.isfinite(right)
        left, centre, right = (np.where(inside, end, 0.0) for end in (left, centre, right))
        bend = left - 2.0 * centre + right
        shift = 0.5 * r * (left - right) / np.where(bend > 0.0, bend, np.inf)
        vertex = np.repeat(theta[None], 1, axis=0)
        vertex[0, :, i] = np.clip(middle + shift, -1.0, 1.0)
        theta = _best(ahead, np.concatenate([trials, vertex]))
    return theta
