"""The certificate of a solution: what its controls are worth in continuous depth, and how they obey the principle."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.referee.certify import FIRST_ORDER, Judged
from ocdl.referee.groups import AT_ONCE
from ocdl.referee.reintegration import operations, reintegrated
from ocdl.statement.discrete import NOTHING_BETWEEN
from ocdl.statement.problem import ControlProblem
from ocdl.statement.spending import lagrangian_gradient
from ocdl.sweeps.sweeper import SweepFailed

Array = NDArray[np.float64]

AGREES = 1e-3
VANISHING = 1e-6  # a costate function below this everywhere says nothing of the controls
SECONDS = 4e-9  # an operation of a sweep, measured
PATIENCE = 1.0  # seconds that the certificate may always take
ALONG = ("dynamics", "lift", "running", "effort", "path")  # the functions along a trajectory
PREFIX = "certificate "
NAN = float("nan")


@dataclass(frozen=True)
class Certificate:
    """What the referee finds beyond the gap; NaN where a figure does not apply.

    cost: J of the controls as functions of depth, re-integrated; error: its error bar, both in units of J.
    excess: the discrete J minus that. end_error: largest difference of x(T), in units of the state.
    restarted: every layer was re-integrated from the answer's own node; drift: how far the trajectory of the controls
        alone, applied in open loop, leaves the answer's states at the nodes, NaN where it is lost; growth: by how much
        an error at one node is multiplied until T at most, where that was looked at.
    super_optimal: the discrete J lies below the re-integrated one by more than the error bar, 1e-7 of it, and the gap,
        which is what the controls may still lose to the optimum: the answer exploits its quadrature.
    relative_gap: the maximum-principle gap as a part of |J|.
    control_violation: how far u(t) leaves its box between the depths where it is bounded, in units of the control, and
        the depth of it; constraint_violation: the same of bounds of states, ends and paths along the re-integrated
        trajectory; ``constraint`` names the worst.
    hamiltonian_spread: max H − min H over the layers, in units of J per depth, where the problem does not depend on
        depth, of H + ν u where a control has a budget; hamiltonian_offset: the mean of H less the −∂ℓ/∂T that a free
        horizon prescribes; hamiltonian_note: why one of them does not apply.
    agreement: the share, between 0 and 1, of depth × controls (in their metrics) on which the control agrees with the
        switching function (``agreement``).
    stationarity: norm of the projected gradient in function space; gain: what a unit step along it gains, to first
        order, in units of J (``Stationarity``).
    skipped: why there is no re-integration.
    """

    cost: float = NAN
    error: float = NAN
    excess: float = NAN
    end_error: float = NAN
    restarted: bool = False
    drift: float = NAN
    growth: float = NAN
    super_optimal: bool = False
    relative_gap: float = NAN
    control_violation: float = NAN
    control_depth: float = NAN
    constraint_violation: float = NAN
    constraint_depth: float = NAN
    constraint: str = ""
    hamiltonian_spread: float = NAN
    hamiltonian_offset: float = NAN
    hamiltonian_note: str = ""
    agreement: float = NAN
    stationarity: float = NAN
    gain: float = NAN
    skipped: str = ""

    def attributes(self) -> dict[str, Any]:
        """Plain numbers and text, as a file keeps them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {PREFIX + name: int(v) if isinstance(v, bool) else v for name, v in values.items()}

    @classmethod
    def of(cls, attributes: Mapping[Any, Any]) -> Certificate | None:
        """The certificate that a file keeps, None where it has none."""
        kept = {f.name: attributes[PREFIX + f.name] for f in fields(cls) if PREFIX + f.name in attributes}
        if "cost" not in kept:
            return None
        kinds: dict[str, Any] = {f.name: type(f.default) for f in fields(cls)}
        return cls(**{name: kinds[name](value) for name, value in kept.items()})

    @property
    def warning(self) -> str:
        """What a super-optimal answer is told, and what to do; empty for an honest one."""
        if not self.super_optimal:
            return ""
        return (
            f"Super-optimal: the discrete cost lies {-self.excess:.2g} below the {self.cost:.10g} that these controls "
            "cost in continuous depth: the answer exploits its quadrature. Use a finer mesh, PiecewiseConstant "
            "controls, or nodes at the switches (polish), unless this scheme's layers are the network itself."
        )

    @property
    def open_loop(self) -> str:
        """What becomes of the controls applied without feedback where that is not the answer; else empty."""
        if not self.restarted:
            return ""
        drift = "are lost" if math.isnan(self.drift) else f"drift by {self.drift:.2g}"
        grown = "" if math.isnan(self.growth) else f"errors grow by {self.growth:.1g} over the horizon; "
        return f"open-loop unstable: {grown}applied alone the controls {drift}; use feedback"


def principle(gap: float, exact: bool, search: str, stationarity: float, form: str = ".1e") -> str:
    """``gap at least 1.0e-03``; where min H was not sought ``projected gradient 1.0e-03 (first order)``."""
    if search == FIRST_ORDER:
        return f"projected gradient {stationarity:{form}} (first order)"
    return f"gap {'' if exact else 'at least '}{gap:{form}}"


def certified(answer: Judged, seconds: float) -> Certificate:
    """The certificate of an answer whose verdict is on true depths.

    Not re-integrated where the layers are discrete, where the verdict is of first order, and where that would take
    longer than the solve did (``seconds``) and than ``PATIENCE``.
    """
    problem, verdict = answer.problem, answer.verdict
    found: dict[str, Any] = {"relative_gap": verdict.gap / abs(verdict.cost) if verdict.cost else NAN}
    found |= {"stationarity": verdict.stationarity.norm, "gain": verdict.stationarity.gain}
    found |= _hamiltonian(answer)
    if problem.velocity_box is None or problem.velocity_box.of_a_box:
        found["agreement"] = agreement(answer)
    if problem.discrete:
        return Certificate(**found, skipped=NOTHING_BETWEEN)
    if verdict.search == FIRST_ORDER:
        return Certificate(**found, skipped="a first-order certificate integrates nothing anew")
    needed = operations(problem, answer.depth) * SECONDS
    if needed > max(seconds, PATIENCE):
        said = f"re-integration would take about {needed:.0f} s, longer than the solve took"
        return Certificate(**found, skipped=said)
    try:
        found |= reintegrated(answer)
    except SweepFailed as error:
        found["skipped"] = f"re-integration failed: {error}"
    return Certificate(**found)


def agreement(answer: Judged) -> float:
    """The share of depth × controls on which g, the gradient in function space, has nothing to gain.

    With d the distance of a control to the bound that −g points to, moving it there gains about g d in H. The control
    agrees where this is below 1e-3 of the mean |H| + |J|/T, spread evenly over the controls: it lies at the lower bound
    with g > 0, at the upper one with g < 0, or between them with g = 0. An interior-point method stops at the distance
    d = μ/|g| from a bound, far from it where |g| is small: the product g d = μ is the same everywhere, so that it, not
    the distance, is what tells. Where there is no bound d is max(1, |u|).
    NaN where the costate vanishes, where nothing can be said, or without controls.
    """
    problem, depth, u, verdict = answer.problem, answer.depth, answer.u, answer.verdict
    trajectory, adjoint = verdict.trajectory, verdict.adjoint
    weights = depth.controls.measure(trajectory.h, depth.tableau.b, depth.tableau.c)
    span = float(np.sum(trajectory.h))
    mean = float(np.sum(trajectory.h[:, None] * np.abs(depth.tableau.b) * np.abs(verdict.hamiltonian))) / span
    if problem.m == 0:
        return NAN
    typical = (mean + abs(verdict.cost) / span) / float(np.sum(problem.control_metric))
    weights, metric = np.where(weights > 0.0, weights, 0.0), np.asarray(problem.control_metric)
    vanishes = not problem.has_running_cost and np.max(np.abs(adjoint.costate / problem.state_metric)) < VANISHING
    if vanishes or not np.any(weights > 0.0) or not typical > 0.0:
        return NAN
    low, high = (np.broadcast_to(end, u.shape) for end in problem.coefficient_box(depth))
    endless = max(1.0, float(np.max(u, initial=0.0)), -float(np.min(u, initial=0.0)))
    gradient = lagrangian_gradient(problem, depth, adjoint.gradient_u, verdict.stationarity.multipliers)
    agreed = total = 0.0
    for k in np.array_split(np.arange(len(u)), max(1, u.size // AT_ONCE)):
        measure = weights[k, None] * metric
        gains = _gains(gradient[k], measure, u[k] - low[k], high[k] - u[k], endless)
        agreed += float(np.sum(measure * (gains <= AGREES * typical)))
        total += float(np.sum(measure))
    return agreed / total


def _gains(gradient: Array, measure: Array, below: Array, above: Array, endless: float) -> Array:
    """|g| d, about what moving each control to its bound along −g gains: g the ``gradient`` over its ``measure``, d the
    distance ``below`` or ``above``, ``endless`` where there is no bound.
    """
    slope = np.divide(gradient, measure, out=np.zeros_like(gradient), where=measure > 0.0)
    reach = np.where(slope > 0.0, below, above)
    return np.abs(slope) * np.where(np.isfinite(reach), np.maximum(reach, 0.0), endless)


def depends_on_depth(problem: ControlProblem) -> bool:
    """Whether dynamics, costs, path or bounds take t (or, of a function that names it, truly use it), or something is
    measured or asked at given depths, where H jumps.
    """
    if problem.stations.size or any(problem.bounds.varies(name) for name in problem.bounds.names):
        return True
    return problem.built.of("depends on depth", lambda: _formulas_depend_on_depth(problem))


def _formulas_depend_on_depth(problem: ControlProblem) -> bool:
    for role in ALONG:
        if _takes(problem, (role,), ("t",)):
            s = problem.symbols()
            if ca.depends_on(problem.evaluate(role, **dict(s)), s["t"]):
                return True
    return False


def _takes(problem: ControlProblem, roles: Iterable[str], names: Iterable[str]) -> bool:
    """Whether a function of ``roles`` has an argument of these names."""
    functions = [getattr(problem, role) for role in roles if getattr(problem, role) is not None]
    return any(name in inspect.signature(function).parameters for function in functions for name in names)


def _hamiltonian(answer: Judged) -> dict[str, Any]:
    problem, p, verdict = answer.problem, answer.p, answer.verdict
    trajectory, basis = verdict.trajectory, answer.depth.controls.basis(answer.depth.count, answer.depth.tableau.c)
    if problem.discrete:
        return {"hamiltonian_note": f"not claimed to be constant: {NOTHING_BETWEEN}"}
    if depends_on_depth(problem):
        return {"hamiltonian_note": "not constant: the problem depends on depth"}
    priced = (basis @ answer.u)[:, problem.budgeted] @ verdict.stationarity.multipliers
    layers = (verdict.hamiltonian + priced.reshape(verdict.hamiltonian.shape)) @ answer.depth.tableau.b
    found: dict[str, Any] = {"hamiltonian_spread": float(np.ptp(layers))}
    if problem.has_free_horizon:
        low, high = (end[-1] for end in problem.parameter_box)
        if p[-1] - low < 1e-6 * p[-1] or high - p[-1] < 1e-6 * p[-1]:
            found["hamiltonian_note"] = "the horizon lies at its bound, where H need not vanish"
        elif _takes(problem, ("boundary",), ("t", "T")):
            found["hamiltonian_note"] = "the boundary condition depends on the horizon"
        elif _takes(problem, (*ALONG, "penalty"), ("T",)):
            found["hamiltonian_note"] = "the formulas depend on the horizon"
        else:
            mean = float(trajectory.h @ layers / trajectory.h.sum())
            found["hamiltonian_offset"] = mean + _terminal_slope(problem, p, trajectory.x[-1])
    return found


def _terminal_slope(problem: ControlProblem, p: Array, x: Array) -> float:
    """Σ ω_s ∂ℓ/∂T, T the last of the parameters."""
    columns = zip(np.asarray(problem.weights), x, np.asarray(problem.data), strict=True)
    return float(sum(w * float(problem.terminal_function(state, p, data)[2][-1]) for w, state, data in columns))
