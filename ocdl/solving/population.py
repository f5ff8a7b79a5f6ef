"""From samples to their population: what an answer found on S draws says of all, with error bars.

    J(u) = E J_s(u),   Ĵ_S(u) = (1/S) Σ J_s(u),   û = arg min Ĵ_S,   u* = arg min J.

û is an M-estimator: with the Hessian H of Ĵ_S and the covariance C of the gradients of the samples at û, where bounds
do not press,

    √S (û − u*) → N(0, H⁻¹ C H⁻¹),   E Ĵ_S(û) ≈ J(u*) − tr(H⁻¹C)/2S,   E J(û) ≈ J(u*) + tr(H⁻¹C)/2S,

and √S (Ĵ_S(û) − J(u*)) → N(0, Var J_s(u*)). What fresh samples say owes nothing to these asymptotics: the mean of
J_s(û) has no bias, and the gap of the mean-field maximum principle, Σ h (E H(û) − min_v E H(v)), is resampled.
Sources: van der Vaart (1998), "Asymptotic statistics", 5.3; Shapiro (1991), "Asymptotic analysis of stochastic
programs"; Liu and Theodorou (2019), Theorem 1 (Han et al., 2018); Efron (1979), the bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.arrays import Array, is_real, is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.referee.certify import certify
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.solving.compile import discretised
from ocdl.statement.populations import Points, Population
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.sweeps.reduced import ReducedCost

Statement = Callable[[Array, Array], ControlProblem | SelectionProblem]

LARGEST = 2_000  # coefficients of a Hessian by differences
STEP = np.finfo(float).eps ** (1 / 3)


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error and interval."""

    value: float
    error: float
    low: float
    high: float

    def covers(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.value:.6g} ± {self.error:.2g}, in [{self.low:.6g}, {self.high:.6g}]"


@dataclass(frozen=True, eq=False)
class PopulationProblem:
    """A problem whose initial data are a ``population``.

    statement: a function of points (S, d) and weights (S,) that returns the problem of these samples.
    """

    population: Population
    statement: Statement

    def __post_init__(self) -> None:
        if not isinstance(self.population, Population):
            raise InvalidInput(f"PopulationProblem(population={self.population!r}): give ocdl.Normal() or another.")
        if not callable(self.statement):
            raise InvalidInput(f"PopulationProblem(statement={self.statement!r}): a function of (points, weights).")

    def on(self, points: Points) -> ControlProblem | SelectionProblem:
        """The problem of these points."""
        problem = self.statement(*points)
        if not isinstance(problem, ControlProblem | SelectionProblem):
            raise InvalidInput(f"PopulationProblem(statement=...): it returned {type(problem).__name__}, no problem.")
        return problem

    def sampled(self, count: int, *, seed: int) -> ControlProblem | SelectionProblem:
        return self.on(self.population.sample(count, seed=seed))

    def quasi(self, count: int, *, seed: int) -> ControlProblem | SelectionProblem:
        return self.on(self.population.quasi(count, seed=seed))

    def quadrature(self, count: int) -> ControlProblem | SelectionProblem:
        return self.on(self.population.quadrature(count))


@dataclass(frozen=True, eq=False)
class PopulationCertificate:
    """What an answer on S independent samples says of the population, at ``level``.

    optimum: J(u*), from the sampled cost, corrected for its bias. cost: J(û), from fresh samples. excess: tr(H⁻¹C)/2S,
    what J(û) is expected to be above J(u*). gap: of the mean-field maximum principle, on fresh samples.
    standard_errors: of the controls (Q, m); 0 where a bound presses. parameter_errors: of the parameters (P,).
    """

    samples: int
    fresh: int
    level: float
    sampled_cost: float
    optimum: Estimate
    cost: Estimate
    excess: float
    gap: Estimate
    standard_errors: Array
    parameter_errors: Array

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.samples} samples; {self.level:.0%} intervals, {self.fresh} fresh samples",
                f"  sampled cost         {self.sampled_cost:.6g}",
                f"  optimum J(u*)        {self.optimum}",
                f"  cost J(u) of these   {self.cost}; expected excess over the optimum {self.excess:.2g}",
                f"  mean-field gap       {self.gap}",
                f"  errors of controls   up to {np.max(self.standard_errors, initial=0.0):.2g}",
            ]
        )


def population_certificate(
    problem: PopulationProblem,
    sampled: ControlProblem | SelectionProblem,
    grid: Grid | DepthScheme,
    solution: Solution,
    *,
    fresh: int = 1000,
    resamples: int = 100,
    level: float = 0.95,
    seed: int = 0,
) -> PopulationCertificate:
    """Judge ``solution``, found on ``sampled`` = ``problem.sampled(S, seed=...)``, against the population.

    fresh: independent samples that it is judged on, other ones if ``seed`` is another. resamples: bootstraps of the
    gap; with 0 it is not sought, and NaN.
    Raises InvalidInput for samples of unequal weight, which are no independent draws; NotSupported for constraints,
    and for more controls than a Hessian by differences is worth.
    """
    _check(problem, fresh, resamples, level)
    core, depth = discretised(sampled, grid)
    reduced, S = _judged(core, depth), core.samples
    u, p = coefficients(core, depth, solution)
    w = reduced.join(u, p)
    costs, gradients = _costs(reduced, w), _gradients(reduced, w)
    free = _free(reduced, w, gradients.mean(axis=0))
    errors, excess = _sandwich(reduced, w, gradients, free)
    quantile = float(scipy.special.ndtri(0.5 * (1.0 + level)))
    in_u, in_p = reduced.split(errors)
    judged, _ = discretised(problem.on(problem.population.sample(fresh, seed=seed)), grid)
    unseen = _costs(ReducedCost(judged, depth), w)
    return PopulationCertificate(
        samples=S,
        fresh=fresh,
        level=float(level),
        sampled_cost=float(costs.mean()),
        optimum=_estimate(float(costs.mean()) + excess, float(costs.std(ddof=1)) / np.sqrt(S), quantile),
        cost=_estimate(float(unseen.mean()), float(unseen.std(ddof=1)) / np.sqrt(fresh), quantile),
        excess=excess,
        gap=_gap(judged, depth, (u, p), resamples, level, np.random.default_rng(seed)),
        standard_errors=in_u,
        parameter_errors=in_p,
    )


def _judged(core: ControlProblem, depth: DepthScheme) -> ReducedCost:
    """The cost of the samples, where it is one that the asymptotics are about."""
    if core.samples < 2 or np.ptp(core.weights) > 1e-12 * np.max(core.weights):
        raise InvalidInput(
            "population_certificate(sampled=...): independent draws, two at least, of equal weight are needed, as "
            "sampled(S, seed=...) makes them."
        )
    if core.constraints or core.budgets:
        raise NotSupported(
            f"population_certificate: constraints, {', '.join(core.constraints) or 'budgets'}; its errors are those of "
            "controls and parameters in boxes."
        )
    reduced = ReducedCost(core, depth)
    if reduced.size > LARGEST:
        raise NotSupported(
            f"population_certificate: a Hessian of {reduced.size} controls and parameters by differences; at most "
            f"{LARGEST} are supported."
        )
    return reduced


def _costs(reduced: ReducedCost, w: Array) -> Array:
    """J_s (S,) of every sample, with the effort and penalty that all share."""
    u, p = reduced.split(w)
    own = reduced.sweeper.costs(reduced.sweeper.state(u, p), u, p)
    return np.asarray(own + (reduced.value(w) - np.asarray(reduced.problem.weights) @ own))


def _gradients(reduced: ReducedCost, w: Array) -> Array:
    """∇J_s (S, size) of every sample by itself."""
    samples = range(reduced.problem.samples)
    return np.array([reduced.on_samples(np.array([s])).value_and_gradient(w)[1] for s in samples])


def _free(reduced: ReducedCost, w: Array, gradient: Array) -> NDArray[np.bool_]:
    """The coefficients that no bound holds."""
    low, high = reduced.bounds
    near = 1e-7 * (1.0 + np.abs(w))
    return np.asarray(~(((w - low <= near) & (gradient > 0.0)) | ((high - w <= near) & (gradient < 0.0))))


def _sandwich(reduced: ReducedCost, w: Array, gradients: Array, free: NDArray[np.bool_]) -> tuple[Array, float]:
    """Standard errors (size,) and tr(H⁻¹C)/2S; in the measure of function space, which these do not depend on."""
    S, places = len(gradients), np.flatnonzero(free)
    H = _hessian(reduced, w, places)
    centred = gradients[:, places] - gradients[:, places].mean(axis=0)
    moved = np.linalg.lstsq(H, centred.T, rcond=None)[0]
    errors = np.zeros(w.size)
    errors[places] = np.sqrt(np.sum(moved**2, axis=1) / (S - 1) / S)
    return errors, float(np.sum(moved * centred.T) / (S - 1) / (2.0 * S))


def _hessian(reduced: ReducedCost, w: Array, places: NDArray[np.intp]) -> Array:
    """∇²Ĵ_S of some coefficients, by central differences of the gradient."""
    columns = []
    for j in places:
        step = np.zeros(w.size)
        step[j] = STEP * (1.0 + abs(w[j]))
        ends = [reduced.value_and_gradient(w + sign * step)[1][places] for sign in (1.0, -1.0)]
        columns.append((ends[0] - ends[1]) / (2.0 * step[j]))
    H = np.array(columns).reshape(places.size, places.size)
    return 0.5 * (H + H.T)


def _gap(
    problem: ControlProblem,
    depth: DepthScheme,
    controls: tuple[Array, Array],
    resamples: int,
    level: float,
    generator: np.random.Generator,
) -> Estimate:
    """The gap on all samples, and its spread over resamples; a mean of minima is biased upwards, by as much again."""
    if resamples == 0:
        return Estimate(*[float("nan")] * 4)
    S = problem.samples
    value = certify(problem, depth, *controls).gap
    drawn = [generator.integers(0, S, S) for _ in range(resamples)]
    found = np.array([certify(problem.on_samples(rows), depth, *controls).gap for rows in drawn])
    bias = float(found.mean()) - value
    low, high = np.quantile(found, [0.5 * (1.0 - level), 0.5 * (1.0 + level)]) - 2.0 * bias
    return Estimate(max(value - bias, 0.0), float(found.std(ddof=1)), max(float(low), 0.0), max(float(high), 0.0))


def _estimate(value: float, error: float, quantile: float) -> Estimate:
    return Estimate(value, error, value - quantile * error, value + quantile * error)


def _check(problem: Any, fresh: Any, resamples: Any, level: Any) -> None:
    if not isinstance(problem, PopulationProblem):
        raise InvalidInput(f"population_certificate({problem!r}, ...): give a PopulationProblem.")
    for name, count, also in (("fresh", fresh, 2), ("resamples", resamples, 0)):
        if not (is_whole(count) and (count >= 2 or count == also)):
            zero = "" if also else "0, or "
            raise InvalidInput(
                f"population_certificate({name}={count!r}): {zero}a whole number, at least 2, is needed."
            )
    if not is_real(level) or not 0.0 < level < 1.0:
        raise InvalidInput(f"population_certificate(level={level!r}): a number between 0 and 1 is needed.")
