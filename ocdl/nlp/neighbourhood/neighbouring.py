"""Neighbouring extremals: what is true near an answer, without another solve.

Along an answer (x*, u*) the second variation tells whether it is a strict local minimum, the feedback
u = u*(t) − K(t)(x − x*(t)) that is optimal for small deviations, and S(t), the curvature of the cost-to-go; the
linearised conditions of optimality tell how cost, states and controls move with x(0), parameters, ends and data.
All of it is of the discrete problem, exactly: its own Hessian and Jacobian, condensed.
Sources: Bryson and Ho, "Applied optimal control" (1975), chapter 6; Breakwell, Speyer and Bryson, SIAM J. Control 1
(1963); Fiacco (1983), chapter 3; Pesch, J. Optim. Theory Appl. 59 (1989), on repetitive correction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.arrays import finite_array, fits_memory, is_real
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.nlp.neighbourhood.law import Law
from ocdl.nlp.neighbourhood.linearised import Linearised
from ocdl.nlp.neighbourhood.second_order import Conditions, SecondOrder
from ocdl.nlp.neighbourhood.second_variation import SecondVariation, Swept
from ocdl.nlp.neighbourhood.sensitivities import Prediction, Sensitivities
from ocdl.nlp.transcription import Scales, Transcription, transcribed
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Problem, discretised
from ocdl.solving.method import Start
from ocdl.statement.noise import refuse_noise
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid

Array = NDArray[np.float64]

EXTREMAL = 1e-4  # what may be missed of stationarity, as a share, and of equations and bounds


def neighbouring(problem: Problem, grid: Grid | DepthScheme, solution: Solution) -> NeighbouringExtremals:
    """The neighbouring extremals of ``solution``, an answer of any route to ``problem`` on ``grid``.

    Raises NotSupported for budgets and noise, InvalidInput where the solution is of another grid, has failed or is no
    extremal of the discrete problem (its free variables are not stationary).
    """
    if not isinstance(solution, Solution):
        raise InvalidInput(f"neighbouring(solution={type(solution).__name__}): a Solution is needed.")
    if solution.status.failed:
        raise InvalidInput(f"neighbouring(solution=...): it has failed. {solution.status.value}")
    core, depth = discretised(problem, grid)
    refuse_noise("neighbouring(problem=...)", core)
    if core.budgets:
        raise NotSupported(
            f"neighbouring(problem=...): {core.budgets[0]!r} holds the layers together, and its feedback goes from one "
            "to the next; write the budget as integral=...."
        )
    states = core.samples * core.n
    fits_memory(repr(depth), "second derivatives of all layers", depth.count * (states * 4 + core.m) ** 2, 24.0)
    transcription = transcribed(core, depth, Scales.ones(core))
    linearised = Linearised(transcription, _point(transcription, solution))
    _check_extremal(linearised, solution)
    return NeighbouringExtremals(core, depth, solution.cost, linearised)


def _point(transcription: Transcription, solution: Solution) -> Array:
    """w of an answer: its own controls, parameters, states and stages."""
    problem, depth = transcription.problem, transcription.depth
    if solution.attrs.get("scheme") != repr(depth):
        raise InvalidInput(
            f"neighbouring(solution=<by {solution.method}>): it was found on {solution.attrs.get('scheme')}, and the "
            f"grid given is {depth!r}; give its own."
        )
    u, p = coefficients(problem, depth, solution)
    (N, S, n), s = transcription.places.x[1:].shape, transcription.tableau.stages
    x, stages = solution.state.values, solution.group("stages")["stage_state"].values
    if x.size != (N + 1) * S * n:
        raise InvalidInput(
            f"neighbouring(solution=<by {solution.method}>): {S} sample(s) of {n} state(s) are needed; its states have "
            f"the shape {x.shape}."
        )
    return transcription.point(Start(u, p), x.reshape(N + 1, S, n), stages.reshape(N, s, S, n).swapaxes(1, 2))


def _check_extremal(linearised: Linearised, solution: Solution) -> None:
    said, left = f"neighbouring(solution=<by {solution.method}>)", linearised.residual(solution.cost)
    if not linearised.missed <= EXTREMAL:
        raise InvalidInput(
            f"{said}: it misses equations or bounds of this problem by {linearised.missed:.1e}, and {EXTREMAL:g} may "
            "be missed; give the problem that it is a solution of."
        )
    if not left <= EXTREMAL:
        raise InvalidInput(
            f"{said}: this is no extremal of the problem on its grid: where nothing holds a variable, {left:.1e} of "
            f"the gradient is left, and {EXTREMAL:g} may be. Solve to a tighter tolerance, or by Ipopt from this "
            "solution as start."
        )


@dataclass(frozen=True, eq=False)
class NeighbouringExtremals:
    """An answer and its neighbourhood (``ocdl.neighbouring``). ``cost``: J of the answer."""

    problem: ControlProblem
    depth: DepthScheme
    cost: float
    _linearised: Linearised = field(repr=False)

    # -- second order -----------------------------------------------------------------------------------------

    @cached_property
    def _swept(self) -> Swept:
        return SecondVariation(self._linearised).swept()

    @cached_property
    def _conditions(self) -> Conditions:
        return Conditions(self._linearised, self._nodes)

    @property
    def _nodes(self) -> Array:
        """Depths of the nodes (N+1,)."""
        return self._true(self._linearised.transcription.t)

    def _true(self, depths: Array) -> Array:
        """True times of the core's depths."""
        p = self._linearised.w[self._linearised.transcription.places.p]
        return np.asarray(self.problem.times.at(depths, p))

    @cached_property
    def minimum(self) -> SecondOrder:
        """Whether the answer is a strict local minimum: H_uu > 0 on the controls that are free (strengthened Legendre
        and Clebsch), no conjugate point, and a second variation that is positive with free parameters and ends, too.
        """
        return self._conditions.judged(self._swept)

    def _gainful(self, asked: str) -> Swept:
        """The swept gains, where there are any. Raises NotSupported."""
        if not self._conditions.regular:
            raise NotSupported(f"neighbouring: no {asked}: {self._conditions.singular}")
        if self.problem.has_free_horizon and _timed(self.problem):
            raise NotSupported(
                f"neighbouring: no {asked}: the horizon is free and the formulas depend on t, so that a later start is "
                "another problem; sensitivities and predictions are those of the start at t = 0."
            )
        return self._swept

    @cached_property
    def gain(self) -> xr.DataArray:
        """K (t, control, sample, state) at the depths of the controls, u ≈ u* − K (x − x*): zero rows where a bound
        holds the control. Constant in a layer, linear or per stage as the controls are. A free horizon and end
        conditions are met anew from x, for as long as what is left of the way allows it, then the last such gain is
        kept; own parameters stay.

        Raises NotSupported on singular arcs and at the switches of bang-bang controls.
        """
        t = self._true(self._linearised.transcription.control_depths)
        values = self._gainful("gains").gains.reshape(t.size, self.problem.m, self.problem.samples, self.problem.n)
        coords = {"t": t, "control": _names(self.problem.controls), "state": _names(self.problem.states)}
        return xr.DataArray(values, dims=("t", "control", "sample", "state"), coords=coords, name="gain")

    @cached_property
    def riccati(self) -> xr.DataArray:
        """S at the nodes (t, sample, state, sample_, state_): δ²J of the rest of the way is ½ δxᵀ S δx; infinite where
        the end conditions cannot be met from every neighbouring state. Raises NotSupported as ``gain``.
        """
        S, n = self.problem.samples, self.problem.n
        values = self._gainful("Riccati matrix").riccati.reshape(-1, S, n, S, n)
        names = _names(self.problem.states)
        coords = {"t": self._nodes, "state": names, "state_": names}
        return xr.DataArray(values, dims=("t", "sample", "state", "sample_", "state_"), coords=coords, name="riccati")

    # -- the closed loop --------------------------------------------------------------------------------------

    def feedback(self, t: float, x: Any) -> Array:
        """u = u*(t) − K(t)(x − x*(t)) (m,), inside its box, at a depth t and a state x (n,), or (S, n) of all samples.

        Before 0 and beyond T the law of the nearest depth. Raises NotSupported as ``gain``.
        """
        if not is_real(t) or not np.isfinite(t):
            raise InvalidInput(f"feedback(t={t!r}): a finite number is needed.")
        given = finite_array("feedback(x=...)", x)
        if given.size != self.problem.samples * self.problem.n:
            raise InvalidInput(
                f"feedback(x=...): {self.problem.samples} sample(s) of {self.problem.n} state(s) are needed; "
                f"got the shape {given.shape}."
            )
        return self._law.at(float(t), given.ravel())

    @cached_property
    def _law(self) -> Law:
        return Law(self._linearised, self._gainful("feedback").gains, self._nodes)

    # -- first order ------------------------------------------------------------------------------------------

    def sensitivity(self, quantity: str = "initial") -> xr.Dataset:
        """How the solution moves with x(0) ("initial"), parameters that are held ("parameters"), prescribed ends
        ("final") or the "data": ``cost`` dJ/dθ and ``cost_curvature`` d²J/dθ² along the solutions, ``states``,
        ``controls`` and ``parameters``, their derivatives. dJ/dx(0) is the costate at 0, of a
        network its weights w_i times the costate function.

        θ are the numbers that are not free, in the order of the problem's own array, dimension ``theta``.

        Raises InvalidInput for other quantities and where none is given, NotSupported where the answer has no
        derivative.
        """
        return Sensitivities(self._linearised).dataset(quantity)

    def predicted(self, *, initial: Any = None, parameters: Any = None, data: Any = None) -> Prediction:
        """The solution for another x^0, other values of held parameters, or other data, as of ``Plan.solve``.

        Raises InvalidInput for other shapes, NotSupported where the answer has no derivative.
        """
        other = self.problem.with_numbers(initial=initial, parameters=parameters, data=data)
        return Sensitivities(self._linearised).predicted(other, self.cost)

    def __repr__(self) -> str:
        return f"<ocdl.NeighbouringExtremals of an answer of cost {self.cost:.10g}: {self.minimum.why}>"


def _names(given: Any) -> list[str]:
    return [str(name) for name in given or ()]


def _timed(problem: ControlProblem) -> bool:
    """Whether a formula along the way depends on t."""
    s = problem.symbols()
    values = [problem.evaluate(role, **s) for role in ("dynamics", "running", "effort", "path")]
    return any(bool(ca.depends_on(value, s["t"])) for value in values)
