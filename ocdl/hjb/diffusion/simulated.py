"""Simulated costs of a feedback under noise, with error bars: Euler's and Maruyama's method, and half its steps.

X⁺ = X + φ h + σ √h ξ, the running cost by the rectangle rule; ξ drawn once for the steps and, in pairs, for half as
many, so that the difference of both means tells the weak error of the steps, which is of first order.
Source: Kloeden and Platen (1992), chapters 10 and 14; Giles (2008), "Multilevel Monte Carlo path simulation".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.arrays import is_whole
from ocdl.errors import InvalidInput
from ocdl.hjb.diffusion.coefficients import Coefficients

Array = NDArray[np.float64]

SHOWN = 32  # paths that are kept
SIGMAS = 3.0  # standard errors of a bar


@dataclass(frozen=True, eq=False)
class Simulated:
    """``costs`` (count,) of closed loops, ``mean`` (of what risk makes of them) ± ``standard_error``, the error of the
    steps ``discretisation``, and what V says: ``value`` ± ``value_error``.

    ``left``: the share of paths that ever left the box of V, where it is reflected. ``paths``: mean and standard
    deviation of states and controls over t, and the first ``SHOWN`` paths.
    """

    costs: Array
    mean: float
    standard_error: float
    discretisation: float
    value: float
    value_error: float
    left: float
    paths: xr.Dataset

    @property
    def bar(self) -> float:
        """What may lie between mean and value: three standard errors, and the errors of the steps and of V."""
        return SIGMAS * self.standard_error + self.discretisation + self.value_error

    @property
    def agrees(self) -> bool:
        """Whether V and the mean agree within their error bars."""
        return abs(self.mean - self.value) <= self.bar

    def __repr__(self) -> str:
        return (
            f"<Simulated: {self.costs.size} costs, {self.mean:.6g} ± {self.standard_error:.1e} (steps "
            f"{self.discretisation:.1e}); V = {self.value:.6g} ± {self.value_error:.1e}: they "
            f"{'agree' if self.agrees else 'differ'}>"
        )


def simulated(value: Any, count: int, seed: int, x: Array, t: float, steps: int | None) -> Simulated:
    """Those of a ``StochasticValue``'s law from state x (n,) at depth t."""
    if not (is_whole(count) and count >= 2):
        raise InvalidInput(f"rollout(count={count!r}): a whole number of at least 2 is needed.")
    if steps is not None and not (is_whole(steps) and steps >= 2 and steps % 2 == 0):
        raise InvalidInput(f"rollout(steps={steps!r}): an even positive whole number is needed.")
    left_over = value.t[-1] - t
    if not 0.0 <= t < value.t[-1]:
        raise InvalidInput(f"rollout(t={t!r}): a depth in [0, {value.t[-1]:g}) is needed.")
    n = 2 * max(1, int(np.ceil(left_over / (value.t[-1] - value.t[-2]) - 1e-9))) if steps is None else int(steps)
    coefficients = Coefficients(value.problem)
    noise = np.random.default_rng(seed).standard_normal((n, count, coefficients.processes))
    mesh, pairs = np.linspace(t, value.t[-1], n + 1), (noise[::2] + noise[1::2]) / np.sqrt(2.0)
    fine, coarse = (_paths(value, coefficients, x, *drawn) for drawn in ((mesh, noise), (mesh[::2], pairs)))
    mean, error = _worth(value.problem.risk, fine.costs)
    apart, _ = _worth(value.problem.risk, coarse.costs)
    return Simulated(
        costs=fine.costs,
        mean=mean,
        standard_error=error,
        discretisation=abs(mean - apart) + SIGMAS * float(np.std(fine.costs - coarse.costs) / np.sqrt(count)),
        value=float(value(x, t)),
        value_error=float(value.error(x, t)),
        left=float(np.mean(fine.left)),
        paths=_labelled(value.problem, mesh, fine.states, fine.controls),
    )


@dataclass(frozen=True, eq=False)
class _Flown:
    costs: Array
    left: NDArray[np.bool_]
    states: list[Array]
    controls: list[Array]


def _paths(value: Any, coefficients: Coefficients, x: Array, mesh: Array, noise: Array) -> _Flown:
    """Closed loops from x (n,) on a mesh (N+1,) under noise (N, count, k)."""
    count = noise.shape[1]
    X, J, left = np.tile(x, (count, 1)), np.zeros(count), np.zeros(count, dtype=bool)
    states, controls = [X], []
    for now, h, xi in zip(mesh, np.diff(mesh), noise, strict=False):
        u = value.law(float(now), X)
        phi, sigma, running = coefficients(float(now), X, u)
        J = J + h * running
        X = X + h * phi + np.sqrt(h) * np.einsum("qik,qk->qi", sigma, xi)
        left |= ~value.nodes.covers(X)
        states.append(X)
        controls.append(u)
    return _Flown(J + coefficients.terminal(X), left, states, [*controls, controls[-1]])


def _labelled(problem: Any, mesh: Array, states: list[Array], controls: list[Array]) -> xr.Dataset:
    """Means, standard deviations and some paths of states and controls over t."""
    arrays = {}
    for name, dimension, table in (("states", "state", states), ("controls", "control", controls)):
        arrays[name] = (["t", "path", dimension], np.array([row[:SHOWN] for row in table]))
        arrays[f"mean_{name}"] = (["t", dimension], np.array([row.mean(axis=0) for row in table]))
        arrays[f"spread_{name}"] = (["t", dimension], np.array([row.std(axis=0) for row in table]))
    return xr.Dataset(arrays, {"t": mesh, "state": list(problem.states), "control": list(problem.controls)})


def _worth(risk: Any, costs: Array) -> tuple[float, float]:
    """The mean of costs, or what the risk makes of them, and its standard error."""
    if risk is None:
        return float(costs.mean()), float(costs.std() / np.sqrt(costs.size))
    scaled = np.exp(risk.k * costs - np.max(risk.k * costs))
    return risk.value(costs), float(scaled.std() / scaled.mean() / abs(risk.k) / np.sqrt(costs.size))
