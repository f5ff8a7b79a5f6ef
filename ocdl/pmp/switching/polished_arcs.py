"""The polish of ordinary problems: from an answer on a mesh to its arcs, and their ends by Newton's method."""

from __future__ import annotations

import time

import numpy as np

from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme, Gauss
from ocdl.errors import InvalidInput, NotSupported, SolveFailed
from ocdl.pmp.extremals.arc_extremal import ArcExtremal
from ocdl.pmp.extremals.arcs import BANG, Arc, Structure, structure
from ocdl.pmp.extremals.homotopy import as_outcome
from ocdl.pmp.extremals.newton import newton
from ocdl.pmp.extremals.system import check_one_sample
from ocdl.referee.judgement import judged
from ocdl.referee.outcome import Outcome, Status
from ocdl.referee.solution import Solution
from ocdl.solving.start import make_start
from ocdl.statement.problem import ControlProblem

LAYERS = 4  # of an arc, at first
FINEST = 64
ITERATIONS = 50
TOUCHING = 1e-6  # from a bound of a state, relative to 1 + |x|
EXACT = 1e-12  # of the cost, relative: what doubling the layers of all arcs may change it by
VANISHED = 1e-9  # share of the horizon: an arc that short is none
RESOLVED = 1e-9  # the same of an answer that may be called converged
EXTREMAL = 1e-9  # of the gap, relative to 1 + |J|


class PolishedArcs:
    """An extremal in continuous depth: arcs of every control, their ends unknowns of its boundary value problem.

    ``arcs``: the ``Arc`` of every control in order; ``depth``: the scheme with nodes at their ends; ``error``: what
    half as many layers in every arc change the cost by.
    """

    def __init__(self, problem: ControlProblem, arcs: tuple[Arc, ...], solution: Solution, depth: Gauss, error: float):
        self._problem, self._solution = problem, solution
        self.arcs, self.depth, self.error = arcs, depth, error

    @property
    def cost(self) -> float:
        """J, the referee's, on layers that are exact to ``error``."""
        return self._solution.cost

    @property
    def gap(self) -> float:
        """∫ H − min H dt and what defects can be worth, the referee's."""
        return self._solution.gap

    @property
    def status(self) -> Status:
        return self._solution.status

    @property
    def detail(self) -> str:
        return self._solution.detail

    @property
    def switches(self) -> Array:
        """The depths at which a control changes its kind, in order."""
        inner = {arc.begin for arc in self.arcs if arc.begin > 0.0}
        return np.array(sorted(inner))

    def solution(self, grid: DepthScheme | None = None) -> Solution:
        """An ordinary, judged ``Solution``: on ``depth``, or with controls averaged over the layers of ``grid``."""
        if grid is None:
            return self._solution
        start = make_start(self._problem, grid, self._solution, None)
        outcome = Outcome(start.u, start.p, Status.ACCEPTABLE, f"{self.detail} Averaged over {grid.count} layers.")
        return judged(self._problem, grid, outcome, method="polish", seconds=self._solution.seconds)

    def __repr__(self) -> str:
        order = ", ".join(f"{arc.control} {arc.kind} to {arc.end:.6g}" for arc in self.arcs)
        figures = f"cost {self.cost:.14g}, gap {self.gap:.1e}"
        return f"<ocdl.PolishedArcs: {figures}; {order}; {self.status.value} {self.detail}>"


def polish_arcs(problem: ControlProblem, solution: Solution) -> PolishedArcs:
    """The extremal in continuous depth whose arcs are those of ``solution``; see ``polish``."""
    check_one_sample("polish", problem)
    if solution.state.shape[1:] != (1, problem.n) or set(solution.controls) != set(problem.unpack(np.zeros(problem.m))):
        raise InvalidInput(
            f"polish(solution=...): an answer to this problem is needed, one sample of {problem.n} state(s) and its "
            f"controls; got {solution.state.shape[1:]} and {sorted(solution.controls)}."
        )
    _check_slack(problem, solution)
    clock = time.perf_counter()
    extremal, w = _extremal(problem, _structure(problem, solution), LAYERS, solution)
    exact, error = _judged(extremal, w, clock), np.inf
    while extremal.layers < FINEST and not exact.status.failed and error > EXACT * (1.0 + abs(exact.cost)):
        found = Structure(extremal.kinds, extremal.answer(w)[2])
        extremal, w = _extremal(problem, found, 2 * extremal.layers, exact)
        before, exact = exact, _judged(extremal, w, clock)
        error = abs(exact.cost - before.cost)
    _say_error(exact, error)
    widths = extremal.answer(w)[2]
    arcs = Structure(extremal.kinds, widths).arcs(
        tuple(problem.controls),  # type: ignore[arg-type]
        exact.horizon / problem.span,
    )
    return PolishedArcs(problem, arcs, exact, extremal.depth(widths), error)


def _say_error(exact: Solution, error: float) -> None:
    """ACCEPTABLE where the layers do not resolve the arcs to what a polish promises."""
    if exact.status is Status.CONVERGED and not error <= RESOLVED * (1.0 + abs(exact.cost)):
        said = f"{exact.detail} Twice as many layers in every arc changed the cost by {error:.1e}."
        exact.attrs.update(status=Status.ACCEPTABLE.name, detail=said)


def _check_slack(problem: ControlProblem, solution: Solution) -> None:
    """NotSupported where the answer rests on a bound of a state between its ends."""
    x, t = solution.state.to_numpy()[1:-1, 0], solution.state["t"].to_numpy()
    low, high = (end[1:-1] for end in problem.state_box_at((t - t[0]) * (problem.span / (t[-1] - t[0]))))
    touching = np.minimum(x - low, high - x) <= TOUCHING * (1.0 + np.abs(x))
    if np.any(touching):
        k, i = np.argwhere(touching)[0]
        assert problem.states is not None
        raise NotSupported(
            f"polish: state {problem.states[i]} lies on its bound at t = {t[k + 1]:.4g}; arcs on a bound of a state, "
            "Box(x=...), are not taken. Use refine."
        )


def _structure(problem: ControlProblem, solution: Solution) -> Structure:
    t = solution.state["t"].to_numpy()
    widths = np.diff(t) * (problem.span / (t[-1] - t[0]))
    layers = Gauss(layers=tuple(widths), degree=1)
    start = make_start(problem, layers, solution, None)
    if start.x is None or start.costate is None:
        raise InvalidInput("polish(solution=...): its states or costates are not finite; give an answer that has them.")
    return structure(problem, layers.mesh(problem.span), start.u, start.x[:, 0], start.costate[:, 0], start.p)


def _extremal(problem: ControlProblem, found: Structure, layers: int, near: Solution) -> tuple[ArcExtremal, Array]:
    """The equations of the structure, without arcs that have vanished, and their solution."""
    extremal = ArcExtremal(problem, found.kinds, layers)
    w = extremal.guess(found.widths, make_start(problem, extremal.depth(found.widths), near, None))
    extremal.check_orders(w)
    w, solved = newton(extremal.equations, w, [], ITERATIONS)
    if not solved and layers < FINEST:
        return _extremal(problem, found, 2 * layers, near)
    if not solved:
        order = ", ".join(" and ".join(kinds) for kinds in found.kinds)
        raise SolveFailed(
            f"polish: Newton's method does not converge from these arcs: {order}. Polish an answer on a finer mesh.",
            near,
        )
    widths = extremal.answer(w)[2]
    if np.any(widths <= VANISHED * problem.span) and widths.size > 1:
        return _extremal(problem, found.without(int(np.argmin(widths))), layers, near)
    return extremal, w


def _judged(extremal: ArcExtremal, w: Array, clock: float) -> Solution:
    """The solution, STALLED where its gap says that these arcs are not the optimal ones."""
    problem, (numbers, u, widths) = extremal.problem, extremal.answer(w)
    depth = extremal.depth(widths)
    inside = np.clip(u, *problem.coefficient_box(depth))
    outcome = as_outcome(problem, depth, numbers, inside, Status.CONVERGED, _said(extremal.kinds))
    solution = judged(problem, depth, outcome, method="polish", seconds=time.perf_counter() - clock)
    if solution.status is Status.CONVERGED and solution.gap > EXTREMAL * (1.0 + abs(solution.cost)):
        said = f"{solution.detail} These arcs are not optimal: their gap is {solution.gap:.1e}."
        solution.attrs.update(status=Status.STALLED.name, detail=said)
    return solution


def _said(kinds: tuple[tuple[str, ...], ...]) -> str:
    bangs = sum(all(kind in BANG for kind in own) for own in kinds)
    return f"{len(kinds)} arc{'s' * (len(kinds) > 1)}, {bangs} with all controls on bounds."
