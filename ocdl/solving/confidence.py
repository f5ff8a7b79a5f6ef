"""How well measurements determine the parameters: standard errors, intervals and correlations of an estimate.

With r(p) = (h − y)/σ the residuals along the trajectory of p, and R = ∂r/∂p, the covariance of a least squares estimate
is, by linearisation,

    C = s² (RᵀR)⁻¹,   s² = χ²/ν,   ν = measurements − estimated parameters,

or with s = 1 where the σ are known in absolute terms. An interval is p ± q √C_ii, q the quantile of Student's t with ν
degrees of freedom (of the normal distribution where σ is known). RᵀR is half the Hessian of χ² but for terms in the
residuals themselves.
Sources: Bard, Nonlinear parameter estimation (1974), chapter 7; Seber and Wild, Nonlinear regression (1989), chapter 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.arrays import Array, is_real, shown
from ocdl.batch import evaluated
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper

AT_A_BOUND = 1e-2  # of the step that the residuals ask of a parameter: it is held where a bound leaves it less room
CONTROL_DEPTHS = 65  # at which controls are looked at
UNDETERMINED = 1e-10  # a smaller singular value of R, with columns of length one, is none


@dataclass(frozen=True, eq=False)
class Confidence:
    """The estimates and what is known of them.

    names, estimates (P,), standard_errors (P,), intervals (P, 2) at the given ``level``, correlation and covariance
    (P, P): NaN for a parameter that is held, at a bound or between equal ones; infinite errors for those that the
    measurements do not determine. misfit: χ²; freedom: ν.
    """

    names: tuple[str, ...]
    estimates: Array
    standard_errors: Array
    intervals: Array
    covariance: Array
    correlation: Array
    misfit: float
    freedom: int
    level: float

    def __repr__(self) -> str:
        lines = [
            f"{name} = {p:.7g}" + (", held" if np.isnan(error) else f" ± {error:.2g}, in [{low:.6g}, {high:.6g}]")
            for name, p, error, (low, high) in zip(
                self.names, self.estimates, self.standard_errors, self.intervals, strict=True
            )
        ]
        head = f"{self.level:.0%} intervals; chi² = {self.misfit:.6g}, {self.freedom} degrees of freedom"
        return "\n".join([head, *lines])


def confidence(
    problem: ControlProblem,
    grid: DepthScheme,
    solution: Solution,
    *,
    level: float = 0.95,
    absolute: bool = False,
) -> Confidence:
    """Standard errors, intervals and correlations of the parameters that ``solution`` estimates.

    grid: the scheme that it was found on. level: of the intervals, between 0 and 1.
    absolute: the deviations are known, not only in proportion (``absolute_sigma`` of scipy's curve_fit).

    Parameters are the user's own and free initial states. What else the cost holds, such as a penalty, is no
    measurement and has no part in it.
    Raises InvalidInput where nothing was measured, or no more than there are parameters; NotSupported where controls
    are free as well, and for constraints.
    """
    if not isinstance(problem, ControlProblem) or problem.measurements is None:
        raise InvalidInput("confidence(problem, ...): a ControlProblem with measurements=... is needed.")
    if not is_real(level) or not 0.0 < level < 1.0:
        raise InvalidInput(f"confidence(level={shown(level)}): a number between 0 and 1 is needed.")
    _check_unconstrained(problem)
    u, p = coefficients(problem, grid, solution)
    residuals, sensitivity = _linearised(problem, Sweeper(problem, grid), u, p)
    free = _free(problem, p, residuals, sensitivity)
    freedom = problem.measurements.made - int(np.sum(free))
    if freedom < 1 or not np.any(free):
        raise InvalidInput(
            f"confidence: {problem.measurements.made} measurement(s) of {int(np.sum(free))} parameter(s) inside their "
            "bounds; intervals need a parameter, and more measurements than parameters."
        )
    misfit = float(residuals @ residuals)
    covariance = np.full((p.size, p.size), np.nan)
    covariance[np.ix_(free, free)] = (1.0 if absolute else misfit / freedom) * _inverse(sensitivity[:, free])
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(errors, errors)
    tail = 0.5 * (1.0 + level)
    quantile = scipy.stats.norm.ppf(tail) if absolute else scipy.stats.t.ppf(tail, freedom)
    return Confidence(
        names=_names(problem),
        estimates=p,
        standard_errors=errors,
        intervals=p[:, None] + quantile * errors[:, None] * np.array([-1.0, 1.0]),
        covariance=covariance,
        correlation=correlation,
        misfit=misfit,
        freedom=freedom,
        level=float(level),
    )


def _check_unconstrained(problem: ControlProblem) -> None:
    """Raise NotSupported where more than the parameters is estimated, or they are not free to vary."""
    low, high = problem.control_box_at(np.linspace(0.0, problem.span, CONTROL_DEPTHS))
    if np.any(low < high):
        raise NotSupported(
            "confidence: controls that are free beside the parameters; known inputs are functions of t, data, or "
            "controls between equal bounds."
        )
    if problem.constraints:
        raise NotSupported(
            f"confidence: its parameters are not free to vary, as the problem has {', '.join(problem.constraints)}. "
            "Where these do not press on the estimate, leave them out."
        )


def _free(problem: ControlProblem, p: Array, residuals: Array, sensitivity: Array) -> NDArray[np.bool_]:
    """Which parameters lie inside their bounds, (P,), whatever their units: those that the residuals do not press
    against one by the Gauss–Newton step of the parameter alone, −Rᵢᵀr / RᵢᵀRᵢ.
    """
    low, high = problem.parameter_box
    curvature = np.sum(sensitivity**2, axis=0)
    step = -(residuals @ sensitivity) / np.where(curvature > 0.0, curvature, 1.0)
    return np.asarray((p - low > -AT_A_BOUND * step) & (high - p > AT_A_BOUND * step) & (low < high))


def _inverse(sensitivity: Array) -> Array:
    """(RᵀR)⁻¹, infinite for parameters in combinations that change no residual."""
    length = np.linalg.norm(sensitivity, axis=0)
    unit = np.where(length > 0.0, length, 1.0)
    _, values, rows = np.linalg.svd(sensitivity / unit, full_matrices=len(sensitivity) < unit.size)
    values = np.pad(values, (0, unit.size - values.size))
    lost = values <= UNDETERMINED * values.max(initial=0.0)
    scaled = rows[~lost].T / values[~lost] / unit[:, None]
    inverse = scaled @ scaled.T
    undetermined = np.any(np.abs(rows[lost]) > np.sqrt(UNDETERMINED), axis=0)
    inverse[undetermined, undetermined] = np.inf
    return np.asarray(inverse)


def _linearised(problem: ControlProblem, sweeper: Sweeper, u: Array, p: Array) -> tuple[Array, Array]:
    """The residuals along the swept trajectory of p and ∂/∂p, of all that was measured: (R,) and (R, P)."""
    parameters, rows = ca.MX.sym("p", problem.P), []
    measurements = problem.measurements
    assert measurements is not None
    columns = measurements.columns.reshape(2 * measurements.rows, -1, problem.samples)
    for sample, data in enumerate(np.asarray(problem.data)):
        nodes = sweeper.along(_start(problem, sample, parameters), u, parameters, data)
        for k, node in enumerate(sweeper.measured.tolist()):
            given = sweeper.t[node], nodes[:, node], parameters, data, columns[:, k, sample]
            rows.append(problem.residual_function(*given)[0])
    residuals = ca.vertcat(*rows)
    function = ca.Function("residuals", [parameters], [residuals, ca.jacobian(residuals, parameters)])
    values, jacobian = evaluated(function, p)
    return values.ravel(), jacobian


def _start(problem: ControlProblem, sample: int, p: ca.MX) -> ca.MX:
    """x(0) of a sample as an expression of the parameters."""
    entries: list[ca.MX] = [ca.MX(float(value)) for value in problem.x0[sample]]
    for k, (s, i) in enumerate(problem.free_initial, start=problem.own_parameters):
        if s == sample:
            entries[i] = p[k]
    return ca.vertcat(*entries)


def _names(problem: ControlProblem) -> tuple[str, ...]:
    layout = problem.layout
    assert layout is not None
    return tuple(layout.entry_name(part, i) for part in layout.parameters for i in range(part.size))
