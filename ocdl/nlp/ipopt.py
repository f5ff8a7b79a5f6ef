"""The direct route: IPOPT on the transcribed problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_real
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.interrupts import uninterrupted
from ocdl.nlp import rank_one
from ocdl.nlp.assembly import NonlinearProgram
from ocdl.nlp.phased import PhasedTranscription
from ocdl.nlp.reduced import Reduced, not_in_reduced_space
from ocdl.nlp.scaling import SCALES, ShownScales, check_scales, chosen_scaling
from ocdl.nlp.settled import objects, settled
from ocdl.nlp.transcription import Transcription, transcribed
from ocdl.nlp.worst_rows import explanation
from ocdl.progress import progress_bar
from ocdl.referee.outcome import FEASIBLE, Outcome, Status, wrapped_up
from ocdl.referee.phases import PhasesOutcome
from ocdl.solving.method import Method, Start
from ocdl.statement.control_set import ControlSet, PairSet, path_rows
from ocdl.statement.phases import Phases
from ocdl.statement.problem import ControlProblem
from ocdl.statement.sharing import sharing

Array = NDArray[np.float64]

STATUS = {
    "Solve_Succeeded": Status.CONVERGED,
    "Solved_To_Acceptable_Level": Status.ACCEPTABLE,
    "Feasible_Point_Found": Status.ACCEPTABLE,
    "Search_Direction_Becomes_Too_Small": Status.STALLED,
    "Infeasible_Problem_Detected": Status.INFEASIBLE,
    "Not_Enough_Degrees_Of_Freedom": Status.OVERDETERMINED,
    "Maximum_Iterations_Exceeded": Status.ITERATION_LIMIT,
    "Maximum_CpuTime_Exceeded": Status.ITERATION_LIMIT,
    "Maximum_WallTime_Exceeded": Status.ITERATION_LIMIT,
    "User_Requested_Stop": Status.INTERRUPTED,
    "Invalid_Number_Detected": Status.NOT_A_NUMBER,
}


REDUCTIONS = ("auto", "rank-one", "none")
SOLVERS = 4  # of one problem that are kept: for its own units and others, from afar and from a solution
WIDE = 12  # neurons from which the rank-one form is the faster one

SPACES = ("auto", "full", "reduced")
MANY, FEW = 10, 1500  # samples from which, and unknowns up to which, the reduced space is the faster one
DENSE = 2000  # unknowns of the reduced space up to which IPOPT is given its dense Hessian
MEMORY = 6  # pairs of the limited-memory Hessian beyond

WARM = {"mu_init": 1e-4, "bound_push": 1e-6, "bound_frac": 1e-6}  # from a solution of another grid
HISTORY = {"obj": "cost", "inf_pr": "infeasibility", "inf_du": "dual_infeasibility", "mu": "mu"}


@dataclass(frozen=True)
class Ipopt(Method):
    """Direct collocation (or Runge–Kutta transcription) solved by IPOPT with exact, assembled second derivatives.

    tolerance: IPOPT's ``tol``, on the scaled optimality conditions. max_iterations: its ``max_iter``.
    space: ``"full"`` makes states, stages and controls variables and the layers constraints; ``"reduced"`` leaves the
        controls and parameters alone, with cost, gradient and Hessian from the sweeps (a limited-memory Hessian from
        ``DENSE`` unknowns on); ``"auto"`` takes the faster one by the numbers of samples and unknowns, and the full one
        for what only it can do: constraints, free initial states, controls that vary in a layer. Both are the
        same problem.
    reduction: ``"auto"`` solves one unregularised sample in its exact rank-one form (``rank_one``) from
        ``WIDE`` neurons on; ``"rank-one"`` always, ``"none"`` never.
    objective_scale: factor on the cost inside IPOPT; by default 1/(mean h_k · mean w_i), which makes multipliers,
        reduced gradients and ``tolerance`` those of function space, whatever the grid.
    scale: what is scaled inside IPOPT. ``"units"``: variables, by the power of ten of their bounds (else their first
        guess) beyond 0.1 to 10, and the state equations by those of their states; ``"rows"``: rows of path and boundary
        as well, by that of their largest derivative at the start, and a steep objective; ``"none"``: nothing.
    scales: units to take instead, ``{"x": ..., "u": ..., "p": ..., "path": ..., "boundary": ...}``, numbers, or one a
        state, control, parameter, row. Those used are in the solution's ``extras`` ``scale_x``, ..., unless all are 1,
        the factor that ``"rows"`` chose for the cost in ``scale_objective``. The referee judges in the problem's units.
    verbose: show IPOPT's own log.
    options: IPOPT's options passed through verbatim, e.g. ``{"mu_strategy": "adaptive"}``.
    Source: Wächter and Biegler, Math. Program. 106 (2006).
    """

    constrained: ClassVar[bool] = True
    budgets: ClassVar[bool] = True
    control_sets: ClassVar[tuple[type[ControlSet], ...]] = (PairSet,)
    any_controls: ClassVar[bool] = True
    measured: ClassVar[bool] = True
    linked: ClassVar[bool] = True

    tolerance: float = 1e-9
    max_iterations: int = 1000
    space: str = "auto"
    reduction: str = "auto"
    objective_scale: float | None = None
    scale: str = "units"
    scales: Mapping[str, Any] = field(default_factory=dict)
    verbose: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.0 < self.tolerance < 1.0:
            raise InvalidInput(f"Ipopt(tolerance={self.tolerance!r}): the tolerance must lie between 0 and 1.")
        if not isinstance(self.max_iterations, int) or self.max_iterations < 0:
            raise InvalidInput(
                f"Ipopt(max_iterations={self.max_iterations!r}): a whole number of iterations is needed, at least 0."
            )
        if self.reduction not in REDUCTIONS:
            raise InvalidInput(f"Ipopt(reduction={self.reduction!r}): one of {', '.join(REDUCTIONS)} is needed.")
        scale = self.objective_scale
        if scale is not None and not (is_real(scale) and 0.0 < scale < np.inf):
            raise InvalidInput(f"Ipopt(objective_scale={scale!r}): a positive number, or None for the automatic one.")
        if self.space not in SPACES:
            raise InvalidInput(f"Ipopt(space={self.space!r}): one of {', '.join(SPACES)} is needed.")
        if self.scale not in SCALES:
            raise InvalidInput(f"Ipopt(scale={self.scale!r}): one of {', '.join(SCALES)} is needed.")
        check_scales(self.scales)
        if not isinstance(self.options, Mapping):
            raise InvalidInput(f"Ipopt(options={self.options!r}): a mapping of IPOPT's option names is needed.")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        if isinstance(problem.control_set, PairSet) and problem.path is None:
            return self._solve_in_control_set(problem, problem.control_set, depth, start, progress)
        if self._reduces(problem, depth):
            return self._solve_rank_one(problem, depth, start, progress)
        if self._in_reduced_space(problem, depth):
            return self._solve_in_reduced_space(problem, depth, start, progress)
        return self._solve_in_full_space(problem, depth, start, progress)

    def check(self, problem: ControlProblem, depth: DepthScheme) -> None:
        super().check(problem, depth)
        if self.space == "reduced":
            self._in_reduced_space(problem, depth)

    def check_phases(self, phases: Phases, depths: Sequence[DepthScheme]) -> None:
        if self.space == "reduced":
            raise NotSupported("Ipopt(space='reduced'): phases are solved in full space; use space='full'.")
        if self.scale == "rows":
            raise NotSupported("Ipopt(scale='rows'): the rows of phases are not scaled; use scale='units'.")
        super().check_phases(phases, depths)

    @property
    def feasible(self) -> float:
        return max(FEASIBLE, self.tolerance)

    def _reduces(self, problem: ControlProblem, depth: DepthScheme) -> bool:
        applicable = rank_one.applies(problem, depth)
        if self.reduction == "rank-one" and not applicable:
            raise NotSupported(
                "Ipopt(reduction='rank-one'): it needs one sample of a selection problem with increasing activation, "
                "no regulariser, and one finite interval of b for all nodes; use reduction='auto' or 'none'."
            )
        wide = problem.n >= WIDE or self.reduction == "rank-one"
        return self.reduction != "none" and applicable and wide

    def _solve_in_control_set(
        self, problem: ControlProblem, set_: PairSet, depth: DepthScheme, start: Start, progress: bool | None
    ) -> Outcome:
        """The control set as a path constraint, whose multipliers no costate needs."""

        def path(u: Any) -> Any:
            return path_rows(set_, u, problem.n)

        constrained = replace(problem, path=path, velocity_box=None)
        constrained = sharing(constrained, problem.built.of("in control set", lambda: constrained))
        outcome = self._solve_in_full_space(constrained, depth, start, progress)
        return replace(outcome, multipliers=None)

    def _solve_rank_one(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, progress: bool | None
    ) -> Outcome:
        pair = rank_one.RankOne.of(problem)
        outcome = self._solve_in_full_space(pair.problem, depth, pair.start(start), progress, sparse=True)
        return replace(outcome, u=pair.lift(outcome.u), detail=outcome.detail + " Solved in rank-one form.")

    def _solve_in_full_space(
        self,
        problem: ControlProblem,
        depth: DepthScheme,
        start: Start,
        progress: bool | None,
        sparse: bool = False,
    ) -> Outcome:
        """``sparse``: in rank-one form; what a carried-over start has settled is then no unknown, unless that fails or
        the controls object.
        """
        h = np.diff(depth.mesh(problem.span))
        scale = self.objective_scale or float(1.0 / (np.mean(h) * np.mean(problem.state_metric)))
        scaling = chosen_scaling(problem, depth, start, self.scale, self.scales, scale)
        transcription = transcribed(problem, depth, scaling.scales)
        box = transcription.bounds()
        guess = np.clip(transcription.guess(start), *box)
        held = np.zeros(guess.size, dtype=bool)
        if sparse:
            held[transcription.places.u] = settled(transcription, start)
        own = {"tol": self.tolerance * scaling.tolerance, **barrier(problem, start, held)}
        options = self._options(pivot_order(problem, sparse), scaling.objective, own)
        key = depth, transcription.scales.trivial, repr(options)
        with (
            progress_bar(self.name, progress=False if self.verbose else progress) as bar,
            uninterrupted() as ctrl_c,
        ):
            made = problem.built.recent("ipopt", key, lambda: self._solver(transcription.program, options), SOLVERS)
            watch = made[1]
            watch.begin(guess / transcription.variable_scale, bar, ctrl_c)
            end = _end(*made, transcription, box, guess, held)
            if end is not None and not ctrl_c.pressed and end.objects(held, transcription, self.tolerance / scale):
                released = _end(*made, transcription, box, end.w if end.solved else guess, np.zeros_like(held))
                end = None if released is None else released.after(end)
            if end is None:
                return watch.broken_off(*transcription.controls(watch.iterate * transcription.variable_scale))
            shown = ShownScales(transcription, scaling.objective if self.scale == "rows" else None)
            return wrapped_up(lambda: replace(_outcome(transcription, end), extras=shown))

    def solve_phases(
        self,
        phases: Phases,
        depths: Sequence[DepthScheme],
        starts: Sequence[Start],
        *,
        progress: bool | None = None,
    ) -> PhasesOutcome:
        joint = PhasedTranscription(phases, depths, starts, self.scale, self.scales)
        width = np.mean(np.concatenate([part.h for part in joint.parts]))
        continued = all(start.costate is not None for start in starts)
        options = self._options(7, float(self.objective_scale or 1.0 / width), WARM if continued else {})
        with (
            progress_bar(self.name, progress=False if self.verbose else progress) as bar,
            uninterrupted() as ctrl_c,
        ):
            solver, watch = self._solver(joint.program, options)
            watch.begin(joint.begin / joint.variable_scale, bar, ctrl_c)
            end = _end(solver, watch, joint, joint.bounds(), joint.begin, np.zeros(joint.begin.size, dtype=bool))
            if end is None:
                stopped = {"return_status": "User_Requested_Stop"}
                end = _End(watch.iterate * joint.variable_scale, np.zeros(joint.row_scale.size), None, stopped)
            parts = joint.split(end.w, end.multipliers)
            outcomes = tuple(_outcome(part, _End(w, own, None, end.stats)) for part, w, own in parts)
            if ctrl_c.taken():
                outcomes = tuple(replace(outcome, status=Status.INTERRUPTED) for outcome in outcomes)
            return PhasesOutcome(outcomes, joint.links(end.multipliers))

    def _in_reduced_space(self, problem: ControlProblem, depth: DepthScheme) -> bool:
        why_not = not_in_reduced_space(problem, depth)
        if self.space == "reduced" and why_not:
            raise NotSupported(f"Ipopt(space='reduced'): {why_not}; use space='full'.")
        unknowns = problem.P + depth.count * problem.m
        fast = problem.samples >= MANY and unknowns <= FEW
        return self.space == "reduced" or (self.space == "auto" and fast and not why_not)

    def _solve_in_reduced_space(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, progress: bool | None
    ) -> Outcome:
        reduced = Reduced(problem, depth)
        program, (low, high) = reduced.program, reduced.bounds()
        guess = np.clip(reduced.guess(start), low, high)
        with (
            progress_bar(self.name, progress=False if self.verbose else progress) as bar,
            uninterrupted() as ctrl_c,
        ):
            scale = self.objective_scale or 1.0 / (np.mean(reduced.h) * np.mean(problem.state_metric))
            limited = program.variables > DENSE
            memory = {"hessian_approximation": "limited-memory", "limited_memory_max_history": MEMORY}
            options = self._options(7, float(scale), memory if limited else {})
            solver, watch = self._solver(program, options)
            watch.begin(guess, bar, ctrl_c)
            found = watch.over(solver, x0=guess, lbx=low, ubx=high)
            if found is None:
                return watch.broken_off(*reduced.controls(watch.iterate))
            kind = "limited-memory" if limited else "exact"
            remark = f"Solved in reduced space: {program.variables} unknowns, {kind} Hessian."
            return wrapped_up(lambda: _reduced_outcome(reduced, watch, found, solver.stats(), remark))

    def _options(self, pivot_order: int, scale: float, own: Mapping[str, Any]) -> dict[str, Any]:
        """IPOPT's options."""
        return {
            "tol": self.tolerance,
            "max_iter": self.max_iterations,
            "bound_relax_factor": 0.0,
            "print_level": 5 if self.verbose else 0,
            "sb": "yes",
            "mumps_pivot_order": pivot_order,
            "obj_scaling_factor": scale,
            **own,
            **self.options,
        }

    def _solver(self, program: NonlinearProgram, ipopt: Mapping[str, Any]) -> tuple[ca.Function, _Watch]:
        """IPOPT on the program, and what watches its iterations."""
        watch = _Watch(program)
        options: dict[str, Any] = {
            "ipopt": dict(ipopt),
            "print_time": False,
            "grad_f": program.grad_f,
            "jac_g": program.jac_g,
            "hess_lag": program.hess_lag,
            "iteration_callback": watch,
            "show_eval_warnings": False,
            "no_nlp_grad": True,
            "calc_lam_p": False,
        }
        try:
            return ca.nlpsol("ipopt", "ipopt", program.objective, options), watch
        except RuntimeError as error:
            raise InvalidInput(f"Ipopt(options={dict(self.options)!r}): IPOPT refuses them: {_core(error)}") from None


@dataclass(frozen=True, eq=False)
class _End:
    """Where IPOPT ended: variables and multipliers in the problem's own units, the cost, and its report."""

    w: Array
    multipliers: Array
    cost: float | None  # of one of several phases it does not tell
    stats: Mapping[str, Any]

    @property
    def solved(self) -> bool:
        return bool(self.stats["success"])

    def objects(self, held: NDArray[np.bool_], transcription: Transcription, tolerance: float) -> bool:
        """Whether variables were ``held`` that must not be: some object, or nothing was found with them."""
        if not np.any(held) or not self.solved:
            return bool(np.any(held))
        gradient = transcription.stationarity(self.w, self.multipliers)
        return objects(held, self.w, *transcription.bounds(), gradient, tolerance)

    def after(self, first: _End) -> _End:
        """The same with the iterations of both in its report."""
        return replace(self, stats=_together([first.stats, self.stats]))


def _end(
    solver: ca.Function,
    watch: _Watch,
    transcription: Transcription | PhasedTranscription,
    box: tuple[Array, Array],
    begin: Array,
    held: NDArray[np.bool_],
) -> _End | None:
    """Where IPOPT ends from ``begin`` with the variables ``held`` there; None where it was broken off."""
    unit, rows = transcription.variable_scale, transcription.row_scale
    low, high = (np.where(held, begin, end) / unit for end in box)
    below, above = (bound * rows for bound in transcription.row_bounds())
    given = {"lbx": low, "ubx": high, "lbg": below, "ubg": above, "p": transcription.parameters}
    found = watch.over(solver, x0=begin / unit, **given)
    if found is None:
        return None
    w, multipliers = found["x"].full().ravel(), found["lam_g"].full().ravel()
    if not np.all(np.isfinite(w)):
        w, multipliers = watch.iterate, np.zeros(rows.size)
    return _End(w * unit, multipliers * rows, float(found["f"]), solver.stats())


def _outcome(transcription: Transcription, end: _End) -> Outcome:
    w, multipliers, stats = end.w, end.multipliers, end.stats
    costate, stage_costate = transcription.costates(w, multipliers)
    claim: dict[str, Any] = {"cost": end.cost, "costate": costate, "stage_costate": stage_costate}
    claim |= {f"multiplier of {name}": nu for name, nu in transcription.budget_multipliers(multipliers).items()}
    if end.cost is None:
        del claim["cost"]
    if transcription.depth.condensed:
        del claim["stage_costate"]
    status = STATUS.get(str(stats["return_status"]), Status.FAILED)
    explained = explanation(transcription, w, status) if status.failed else ""
    x, stages = transcription.trajectory(w)
    return replace(
        _reported(*transcription.controls(w), stats, claim, explained),
        multipliers=transcription.constraint_multipliers(w, multipliers),
        x=x,
        stages=stages,
        costate=costate,
    )


def _reduced_outcome(reduced: Reduced, watch: _Watch, found: Any, stats: Mapping[str, Any], remark: str) -> Outcome:
    v = found["x"].full().ravel()
    v = v if np.all(np.isfinite(v)) else watch.iterate
    costate, stages = reduced.costates(v, np.zeros(0))
    claim = {"cost": float(found["f"]), "costate": costate, "stage_costate": stages}
    return _reported(*reduced.controls(v), stats, claim, remark)


def _reported(u: Array, p: Array, stats: Mapping[str, Any], claim: dict[str, Any], remark: str) -> Outcome:
    """An outcome with IPOPT's own report."""
    said, iterations = str(stats["return_status"]), stats.get("iterations", {})
    history = {ours: list(map(float, iterations[own])) for own, ours in HISTORY.items() if own in iterations}
    ended = f"IPOPT: {said.replace('_', ' ').lower()}{_after(stats)}."
    detail = f"{ended} {remark}".strip()
    return Outcome(u, p, STATUS.get(said, Status.FAILED), detail=detail, claim=claim, history=history)


def _after(stats: Mapping[str, Any]) -> str:
    """How many iterations; nothing where IPOPT did not begin, whose count is then uninitialised memory."""
    return f" after {stats['iter_count']} iterations" if stats.get("iterations") else ""


def barrier(problem: ControlProblem, start: Start, held: NDArray[np.bool_]) -> dict[str, Any]:
    """IPOPT's first barrier and its distance from the bounds: small where the start is a solution of another grid.

    Measured from a mesh three times as coarse: 2 to 4 times fewer iterations on the textbook problems. Bang-bang
    networks of one sample need the whole path of barriers; where controls are ``held``, from well inside.
    """
    if np.any(held):
        return {"bound_push": 0.1, "bound_frac": 0.1, "bound_mult_init_method": "mu-based"}
    if start.costate is None or problem.velocity_box is not None:
        return {}
    return WARM


def _together(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The last report, with the iterations of all."""
    histories = [report.get("iterations", {}) for report in reports]
    names = histories[-1]
    iterations = {name: [value for history in histories for value in history.get(name, [])] for name in names}
    return {
        **reports[-1],
        "iterations": iterations,
        "iter_count": sum(report.get("iter_count", 0) for report in reports),
    }


def pivot_order(problem: ControlProblem, sparse: bool) -> int:
    """MUMPS's ordering: nested dissection (5) for the rank-one form and where many samples share each layer's controls,
    else its own choice (7).

    Measured, seconds an iteration with 5 and 7: 16 neurons, 10 layers, 20 samples 0.9 and 6; the rank-one form of
    64 neurons, 200 layers 0.40 and 0.58; but the full form of 64 neurons, 50 layers takes twice as long with 5.
    """
    return 5 if problem.samples > 5 or sparse else 7


class _Watch(ca.Callback):
    """Shows progress and turns Ctrl-C into a stop after the current iteration, a second one into a stop at once."""

    def __init__(self, program: NonlinearProgram) -> None:
        ca.Callback.__init__(self)
        self.sizes = {"x": program.variables, "f": 1}  # what is not named is not handed over
        self.construct("watch", {})

    def begin(self, guess: Array, bar: Any, ctrl_c: uninterrupted) -> None:
        """Watch another solve."""
        self.iterate, self.bar, self.ctrl_c, self.seen = guess, bar, ctrl_c, 0

    def get_n_in(self) -> int:
        return ca.nlpsol_n_out()

    def get_n_out(self) -> int:
        return 1

    def get_name_in(self, i: int) -> str:
        return ca.nlpsol_out(i)

    def get_name_out(self, i: int) -> str:
        return "stop"

    def get_sparsity_in(self, i: int) -> ca.Sparsity:
        return ca.Sparsity.dense(self.sizes.get(ca.nlpsol_out(i), 0), 1)

    def has_eval_buffer(self) -> bool:
        return True

    def eval_buffer(self, arguments: Any, results: Any) -> int:
        """CasADi's own memory of x and f, and of the stop."""
        iterate = np.frombuffer(arguments[0]).copy()
        if np.all(np.isfinite(iterate)):
            self.iterate = iterate
        self.seen += 1
        if not self.bar.disable:
            self.bar.update()
            self.bar.set_postfix_str(f"cost {np.frombuffer(arguments[1])[0]:.6g}", refresh=False)
        np.frombuffer(results[0])[0] = self.ctrl_c.pressed
        return 0

    def over(self, solver: Any, **given: Any) -> Any:
        """What the solver returns, None where a second Ctrl-C broke it off."""
        try:
            found = solver(**given)
        except (Exception, KeyboardInterrupt):
            if not self.ctrl_c.broken:
                raise
        return None if self.ctrl_c.broken else found

    def broken_off(self, u: Array, p: Array) -> Outcome:
        """The last iterate, without IPOPT's report."""
        return Outcome(u, p, Status.INTERRUPTED, f"IPOPT: broken off after {self.seen} iterations.")


def _core(error: Exception) -> str:
    """The last line of CasADi's message, which says what is wrong."""
    return str(error).strip().splitlines()[-1]
