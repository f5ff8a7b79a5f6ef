"""The direct route: IPOPT on the transcribed problem."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import casadi as ca
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ocdl.arrays import finite_array, is_real
from ocdl.depth import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.method import Method, Outcome, Start, Status
from ocdl.nlp import rank_one
from ocdl.nlp.assembly import NonlinearProgram
from ocdl.nlp.transcription import Scales, Transcription
from ocdl.nlp.worst_rows import explanation
from ocdl.problem import ControlProblem
from ocdl.progress import progress_bar

Array = NDArray[np.float64]

STATUS = {
    "Solve_Succeeded": Status.CONVERGED,
    "Solved_To_Acceptable_Level": Status.ACCEPTABLE,
    "Feasible_Point_Found": Status.ACCEPTABLE,
    "Search_Direction_Becomes_Too_Small": Status.STALLED,
    "Infeasible_Problem_Detected": Status.INFEASIBLE,
    "Maximum_Iterations_Exceeded": Status.ITERATION_LIMIT,
    "Maximum_CpuTime_Exceeded": Status.ITERATION_LIMIT,
    "Maximum_WallTime_Exceeded": Status.ITERATION_LIMIT,
    "User_Requested_Stop": Status.INTERRUPTED,
    "Invalid_Number_Detected": Status.NOT_A_NUMBER,
}


REDUCTIONS = ("auto", "rank-one", "none")
WIDE = 12  # neurons from which the rank-one form is the faster one

HISTORY = {"obj": "cost", "inf_pr": "infeasibility", "inf_du": "dual_infeasibility", "mu": "mu"}


@dataclass(frozen=True)
class Ipopt(Method):
    """Direct collocation (or Runge–Kutta transcription) solved by IPOPT with exact, assembled second derivatives.

    tolerance: IPOPT's ``tol``, on the scaled optimality conditions. max_iterations: its ``max_iter``.
    reduction: ``"auto"`` solves one unregularised sample in its exact rank-one form (``rank_one``) from
        ``WIDE`` neurons on; ``"rank-one"`` always, ``"none"`` never.
    objective_scale: factor on the cost inside IPOPT; by default 1/(mean h_k · mean w_i), which makes multipliers,
        reduced gradients and ``tolerance`` those of function space, whatever the grid.
    scales: one unit of IPOPT's variables, ``{"x": ..., "u": ..., "p": ...}``, numbers, or one a state, control,
        parameter; what is left out is chosen: 1, or the power of ten of its bounds (else its first guess) beyond 0.1 to
        10. The units used are in the solution's ``extras`` ``scale_x``, ``scale_u``, ``scale_p``, unless all are 1.
    verbose: show IPOPT's own log.
    options: IPOPT's options passed through verbatim, e.g. ``{"mu_strategy": "adaptive"}``.
    Source: Wächter and Biegler, Math. Program. 106 (2006).
    """

    constrained: ClassVar[bool] = True
    any_controls: ClassVar[bool] = True

    tolerance: float = 1e-9
    max_iterations: int = 1000
    reduction: str = "auto"
    objective_scale: float | None = None
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
        check_scales(self.scales)
        if not isinstance(self.options, Mapping):
            raise InvalidInput(f"Ipopt(options={self.options!r}): a mapping of IPOPT's option names is needed.")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        if self._reduces(problem, depth):
            return self._solve_reduced(problem, depth, start, progress)
        return self._solve_as_it_is(problem, depth, start, progress)

    def _reduces(self, problem: ControlProblem, depth: DepthScheme) -> bool:
        applicable = rank_one.applies(problem, depth)
        if self.reduction == "rank-one" and not applicable:
            raise NotSupported(
                "Ipopt(reduction='rank-one'): it needs one sample of a selection problem with increasing activation, "
                "no regulariser, and one finite interval of b for all nodes; use reduction='auto' or 'none'."
            )
        wide = problem.n >= WIDE or self.reduction == "rank-one"
        return self.reduction != "none" and applicable and wide

    def _solve_reduced(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, progress: bool | None
    ) -> Outcome:
        pair = rank_one.RankOne.of(problem)
        outcome = self._solve_as_it_is(pair.problem, depth, pair.start(start), progress)
        return replace(outcome, u=pair.lift(outcome.u), detail=outcome.detail + " Solved in rank-one form.")

    def _solve_as_it_is(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, progress: bool | None
    ) -> Outcome:
        transcription = Transcription(problem, depth, chosen_scales(problem, depth, start, self.scales))
        program, unit = transcription.program, transcription.variable_scale
        low, high = transcription.bounds()
        below, above = transcription.row_bounds()
        guess = np.clip(transcription.guess(start), low, high) / unit
        with (
            progress_bar(self.name, progress=False if self.verbose else progress) as bar,
            _Watch(program, guess, bar) as watch,
        ):
            scale = self.objective_scale or 1.0 / (np.mean(transcription.h) * np.mean(problem.state_metric))
            solver = self._solver(program, watch, pivot_order(problem), float(scale), barrier(problem, start))
            rows = transcription.row_scale
            found = solver(x0=guess, lbx=low / unit, ubx=high / unit, lbg=below * rows, ubg=above * rows)
        said = str(solver.stats()["return_status"])
        w, multipliers = found["x"].full().ravel(), found["lam_g"].full().ravel()
        if not np.all(np.isfinite(w)):
            w, multipliers = watch.iterate, np.zeros(program.constraints)
        return self._outcome(transcription, w * unit, multipliers * rows, said, float(found["f"]), solver.stats())

    def _solver(
        self,
        program: NonlinearProgram,
        watch: _Watch,
        pivot_order: int = 7,
        scale: float = 1.0,
        barrier: Mapping[str, float] | None = None,
    ) -> ca.Function:
        ipopt = {
            "tol": self.tolerance,
            "max_iter": self.max_iterations,
            "bound_relax_factor": 0.0,
            "print_level": 5 if self.verbose else 0,
            "sb": "yes",
            "mumps_pivot_order": pivot_order,
            "obj_scaling_factor": scale,
            **(barrier or {}),
            **self.options,
        }
        options: dict[str, Any] = {
            "ipopt": ipopt,
            "print_time": False,
            "grad_f": program.grad_f,
            "jac_g": program.jac_g,
            "hess_lag": program.hess_lag,
            "iteration_callback": watch,
            "show_eval_warnings": False,
        }
        try:
            return ca.nlpsol("ipopt", "ipopt", program.objective, options)
        except RuntimeError as error:
            raise InvalidInput(f"Ipopt(options={dict(self.options)!r}): IPOPT refuses them: {_core(error)}") from None

    @staticmethod
    def _outcome(
        transcription: Transcription, w: Array, multipliers: Array, said: str, cost: float, stats: Mapping[str, Any]
    ) -> Outcome:
        u, p = transcription.controls(w)
        costate, stage_costate = transcription.costates(w, multipliers)
        iterations = stats.get("iterations", {})
        claim = {"cost": cost, "costate": costate, "stage_costate": stage_costate}
        if transcription.depth.condensed:
            del claim["stage_costate"]
        history = {ours: list(map(float, iterations[own])) for own, ours in HISTORY.items() if own in iterations}
        status = STATUS.get(said, Status.FAILED)
        explained = explanation(transcription, w, status) if status.failed else ""
        said = f"IPOPT: {said.replace('_', ' ').lower()} after {stats.get('iter_count', 0)} iterations."
        return Outcome(
            u,
            p,
            status,
            detail=f"{said} {explained}".strip(),
            claim=claim,
            history=history,
            multipliers=transcription.constraint_multipliers(w, multipliers),
            extras=shown_scales(transcription),
        )


def barrier(problem: ControlProblem, start: Start) -> dict[str, float]:
    """IPOPT's first barrier and its distance from the bounds: small where the start is a solution of another grid.

    Measured from a mesh three times as coarse: 2 to 4 times fewer iterations on the textbook problems. Bang-bang
    networks of one sample take about as many as from the centre, and more with a small barrier: they keep IPOPT's own.
    """
    if start.costate is None or problem.velocity_box is not None:
        return {}
    return {"mu_init": 1e-4, "bound_push": 1e-6, "bound_frac": 1e-6}


def pivot_order(problem: ControlProblem) -> int:
    """MUMPS's ordering: nested dissection (5) where many samples share each layer's controls, else its own choice (7).

    Measured, 16 neurons, 10 layers, 20 samples: 0.9 s an iteration with 5, 1.3 s with 6, 6 s with 7.
    """
    return 5 if problem.samples > 5 else 7


# -- scaling -------------------------------------------------------------------------------------------


def check_scales(scales: Any) -> None:
    if not isinstance(scales, Mapping) or set(scales) - {"x", "u", "p"}:
        raise InvalidInput(f"Ipopt(scales={scales!r}): a mapping with some of the keys x, u, p is needed.")
    for name, given in scales.items():
        values = finite_array(f"Ipopt(scales={{{name!r}: ...}})", given)
        if np.any(values <= 0.0):
            raise InvalidInput(f"Ipopt(scales={{{name!r}: {given!r}}}): units are positive numbers.")


def chosen_scales(problem: ControlProblem, depth: DepthScheme, start: Start, given: Mapping[str, Any]) -> Scales:
    """The units asked for; else powers of ten from bounds, or from the guess where there are none."""
    t = depth.mesh(problem.span)
    guess = problem.initial_states(start.p) if start.x is None else start.x.reshape(-1, problem.n)
    ends = problem.final_box
    final = np.where(np.isfinite(ends[0]) & (ends[0] == ends[1]), ends[0], 0.0)
    magnitudes = {
        "x": (problem.n, problem.state_box_at(t), np.concatenate([guess, final])),
        "u": (problem.m, problem.control_box_at(t), start.u),
        "p": (problem.P, problem.parameter_box, start.p[None]),
    }
    scales = {}
    for name, (size, box, values) in magnitudes.items():
        if name in given:
            scale = np.asarray(given[name], dtype=float)
            if scale.shape not in ((), (size,)):
                raise InvalidInput(
                    f"Ipopt(scales={{{name!r}: ...}}): one number or {size} are needed; got {scale.shape}."
                )
            scales[name] = np.broadcast_to(scale, (size,)).copy()
        else:
            scales[name] = _unit(np.atleast_2d(box[0]), np.atleast_2d(box[1]), values)
    return Scales(**scales)


def _unit(low: Array, high: Array, values: Array) -> Array:
    """1 for magnitudes between 0.1 and 10, else their power of ten."""
    reach = np.maximum(np.abs(low), np.abs(high)).max(axis=0)
    bounded = np.isfinite(low).all(axis=0) & np.isfinite(high).all(axis=0)
    magnitude = np.where(bounded, reach, np.abs(values).max(axis=0, initial=0.0))
    plain = (magnitude == 0.0) | ((magnitude >= 0.1) & (magnitude <= 10.0))
    return np.where(plain, 1.0, 10.0 ** np.round(np.log10(np.where(plain, 1.0, magnitude))))


def shown_scales(transcription: Transcription) -> dict[str, xr.DataArray]:
    scales, problem = transcription.scales, transcription.problem
    if scales.trivial:
        return {}
    names = {"x": list(problem.states or ()), "u": list(problem.controls), "p": list(range(problem.P))}  # type: ignore[arg-type]
    return {
        f"scale_{name}": xr.DataArray(
            getattr(scales, name), dims=(f"unit_{name}",), coords={f"unit_{name}": names[name]}
        )
        for name in names
    }


class _Watch(ca.Callback):
    """Shows progress and turns Ctrl-C into a stop at the current iterate."""

    def __init__(self, program: NonlinearProgram, guess: Array, bar: Any) -> None:
        ca.Callback.__init__(self)
        self.sizes = {"x": program.variables, "f": 1, "g": program.constraints}
        self.sizes |= {"lam_x": program.variables, "lam_g": program.constraints, "lam_p": 0}
        self.iterate, self.bar, self.stopped = guess, bar, False
        self.construct("watch", {})

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

    def eval(self, arguments: Any) -> list[Any]:
        iterate = np.asarray(arguments[0]).ravel()
        if np.all(np.isfinite(iterate)):
            self.iterate = iterate
        self.bar.update()
        self.bar.set_postfix_str(f"cost {float(arguments[1]):.6g}", refresh=False)
        return [int(self.stopped)]

    def __enter__(self) -> _Watch:
        self._context = _interruptible(self)
        self._context.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self._context.__exit__(*details)


@contextmanager
def _interruptible(watch: _Watch) -> Iterator[None]:
    """While IPOPT runs, SIGINT asks it to stop after the current iteration (main thread only)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        watch.stopped = True

    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _core(error: Exception) -> str:
    """The last line of CasADi's message, which says what is wrong."""
    return str(error).strip().splitlines()[-1]
