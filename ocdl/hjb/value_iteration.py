"""ValueIteration: the Hamilton–Jacobi–Bellman equation on a grid of states, and the feedback it gives.

    ∂t V + min_u { Σ_s ⟨∂V/∂x_s, φ(t, x_s, u)⟩ + ω_s L + E } = 0,   V(·, T) = Σ_s ω_s ℓ_s,

marched backwards. With a velocity box and no running cost the minimum is Σ_i min { v_i ∂V/∂f_i : v⁻_i ≤ v_i ≤ v⁺_i },
and the scheme is one of split exact flows: each step sweeps the axes in turn, the order reversed every step (second
order); along one axis the dynamic programming step is exact up to interpolation, so there is no stability limit on the
step. Any other small problem takes the general semi-Lagrangian scheme (``Lookahead``), also one with bounds on states:
V is then the constrained viscosity solution, +∞ where no control keeps the bounds (``state_bounds``).
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 4.3; Falcone and Ferretti,
"Semi-Lagrangian approximation schemes for linear and Hamilton–Jacobi equations" (2013).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.arrays import is_real, is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb.bounds.least_cost import least_cost
from ocdl.hjb.bounds.lower_bound import lower_bound
from ocdl.hjb.checkpoint import Checkpoint, fingerprint
from ocdl.hjb.feedback.closed_loop import closed_loop, multipliers
from ocdl.hjb.feedback.synthesis import FEEDBACKS
from ocdl.hjb.feedback.value_function import ValueFunction
from ocdl.hjb.grids.sweeps import numba_available
from ocdl.hjb.planning import (
    GENERAL,
    SCHEMES,
    Plan,
    check_controls_only,
    chosen_names,
    coarsened,
    in_steps,
    planned,
    widened,
)
from ocdl.hjb.schemes.general import General
from ocdl.hjb.schemes.lookahead import Lookahead, Minimiser
from ocdl.hjb.schemes.split import Scheme, SplitFlow
from ocdl.hjb.schemes.state_bounds import StateBounds
from ocdl.hjb.schemes.terminal import given_values, terminal_values
from ocdl.hjb.schemes.upwind import DERIVATIVES, Held, Upwind
from ocdl.hjb.time_steps import settled_steps
from ocdl.interrupts import interruptible
from ocdl.progress import progress_bar
from ocdl.referee.defects import trajectory_of
from ocdl.referee.outcome import Outcome, Status, wrapped_up
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper

Array = NDArray[np.float64]

KERNELS = ("auto", "numpy", "numba")


@dataclass(frozen=True)
class ValueIteration(Method):
    """Value iteration on a grid of the states of all samples (D = S·n axes), and the rollout of its feedback.

    nodes: per axis, a number or one for each state, which may be its nodes themselves, evenly spaced or not; by
        default 641, 161, 61, 21, 11 for 1 to 5 neurons, and 201, 61, 31, 13 for 1 to 4 states in the general scheme.
    domain: (lower, upper), or one pair for each state; by default the componentwise enclosure of all states
        reachable from the initial one (comparison equations; in the general scheme by simulating random and extremal
        controls), widened by a tenth of the nodes (3 to 24 cells) on each side. Flows that leave a domain are stopped
        at its edge: where that may matter, ``solve`` compares V with that on a wider domain and says so
        (``Status.EDGE``). Bounds on states cut it, so that nodes lie on them.
    scheme: semi-Lagrangian with ``"weno"`` interpolation (high order where V is smooth, limited at kinks) or
        ``"linear"`` (monotone, first order): split exact flows for one sample with a velocity box and no running cost,
        else, and wherever states are bounded, the general scheme, which ``"general"`` and ``"general-linear"`` take for
        any problem. Between them, where H is affine in bounded controls (but for squares of single ones in its cost),
        they stand for ``"upwind-weno5"`` and ``"upwind"`` (monotone, first order), which with ``"upwind-weno3"``
        solve what the split scheme does, too. All but the general scheme have numba kernels.
    courant: cells the fastest flow crosses in one step; by default 2 for two neurons and 1 above; one neuron takes
        16 steps, because without splitting fewer interpolations are better ones. The splitting error is second order
        in the step; at a fixed ``courant`` errors across kinks of V'' fall at observed orders of 1.8 and more. For the
        upwind schemes the cells crossed along all axes together, by default as many as are stable (``STABLE``), and a
        step that crosses more is taken in parts; in the general scheme 1, but at least 16 steps, because controls are
        held over a step, and without bounds on states at most 256, then as many as the error in time asks for, seen on
        half the nodes (up to eight times more).
    steps: the number of steps, instead of ``courant``.
    controls, minimiser: for the general scheme, a finite set of controls (K, m) to choose from, or the minimiser of
        the Hamiltonian in closed form, a function (t (q,), x (q, S, n), p (q, S, n)) → u (q, m) of the
        Euclidean gradient p. By default the box of controls is searched: vertices, then projected gradients; where H is
        neither affine nor convex in u, points that cover the box as well, and the outcome says "by search".
    depths: where V is kept for queries, rounded to steps; by default every step, or as many as memory_limit allows.
    kernels: ``"numba"``, ``"numpy"``, or ``"auto"``: numba where it is installed.
    feedback: ``"lookahead"`` or, without bounds on states, ``"sign"``, see ``ValueFunction.controls``.
    memory_limit: bytes; a plan beyond it is refused before anything is computed.
    periodic: states, by number or name, whose ``domain`` is once around a circle: an angle in (0, 2π).
    terminal, target, obstacle: values at the nodes, arrays of the grid's shape or functions of states x (..., D), in
        place of the terminal loss, and below and above which V is held: with signed distances V ≤ 0 is the reach,
        avoid or reach–avoid tube (``held``), and ``time_to_reach`` the minimum time.
    disturbance: controls, by number or name, that maximise (Isaacs' equation), where H is affine in them.
    discount, settled: the rate λ by which costs are discounted, and the change of V in a unit of depth below which it
        is that of the infinite horizon, at all depths before. There is no ``solve`` with one of the last six.
    checkpoint: a file to save progress in, every ``checkpoint_seconds`` and on interrupt, and to resume from.
    """

    nodes: int | Sequence[Any] | None = None
    domain: Sequence[Any] | None = None
    scheme: str = "weno"
    courant: float | None = None
    steps: int | None = None
    depths: Sequence[float] | None = None
    kernels: str = "auto"
    controls: Any = field(default=None, compare=False)
    minimiser: Minimiser | None = None
    feedback: str = "lookahead"
    memory_limit: float = 2e9
    checkpoint: str | Path | None = None
    checkpoint_seconds: float = 30.0
    periodic: Sequence[int | str] = ()
    terminal: Any = field(default=None, compare=False)
    target: Any = field(default=None, compare=False)
    obstacle: Any = field(default=None, compare=False)
    disturbance: Sequence[int | str] = ()
    discount: float = 0.0
    settled: float | None = None
    bounded_states: ClassVar[bool] = True
    continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, allowed in (("scheme", SCHEMES), ("kernels", KERNELS), ("feedback", FEEDBACKS)):
            if getattr(self, name) not in allowed:
                raise InvalidInput(f"ValueIteration({name}={getattr(self, name)!r}): {name} is one of {allowed}.")
        if not (is_real(self.discount) and 0.0 <= self.discount < np.inf):
            raise InvalidInput(f"ValueIteration(discount={self.discount!r}): discount is a number, at least 0.")
        for name in ("courant", "memory_limit", "checkpoint_seconds", "settled"):
            value = getattr(self, name)
            if value is not None and not ((is_real(value) and np.isfinite(value)) and value > 0.0):
                raise InvalidInput(f"ValueIteration({name}={value!r}): {name} is a positive number.")
        if self.steps is not None and not (is_whole(self.steps) and self.steps >= 1):
            raise InvalidInput(f"ValueIteration(steps={self.steps!r}): steps is a positive whole number.")
        if self.controls is not None and self.minimiser is not None:
            raise InvalidInput("ValueIteration(controls=..., minimiser=...): give one of the two.")
        if self.kernels == "numba" and self.scheme in GENERAL:
            raise NotSupported(
                f"ValueIteration(scheme={self.scheme!r}, kernels='numba'): this scheme has numpy kernels."
            )
        if self.kernels == "numba" and not numba_available():
            raise NotSupported("ValueIteration(kernels='numba'): numba is not installed; pip install 'ocdl[fast]'.")

    def check(self, problem: ControlProblem, depth: DepthScheme) -> None:
        """A free horizon is named before the constraints that come with it, of which penalties would not help."""
        check_controls_only(problem)
        if self.extended:
            raise NotSupported(
                f"ValueIteration({', '.join(f'{name}=...' for name in self.extended)}): V is then no least cost of "
                "this problem, by which an answer is judged; ask value_function for it, and for its rollouts."
            )
        super().check(problem, depth)

    # -- the three steps of paper 000: solve, synthesise, roll out ---------------------------------

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        """V on its grid, then its feedback rolled out from the initial state on the user's own layers.

        Where states are bounded the rollout keeps the bounds at the nodes and stages of the layers, to 1e-9, or as well
        as a few repetitions with a margin can; ∇V gives their multipliers. Where no control keeps them, V(x^0, 0) = +∞:
        the status is INFEASIBLE and the controls violate them least.
        Where the domain is not known to hold the flow, V at the start is compared with one on a wider domain; where
        that changes it by more than the grid can explain, or the rollout leaves the domain, the status is EDGE.
        The claim is V(x^0, 0) as ``cost``, an estimate of its error from a run at half the resolution as
        ``value_error`` (none with the status EDGE), a proven ``lower_bound`` of all costs where there is one, and the
        Euclidean gradient of V along the rollout as ``costate``; ``extras["value"]`` is the table, which
        ``ValueFunction.from_array`` reads.
        """
        try:
            plan = self.plan(problem)
        except KeyboardInterrupt:
            return Outcome(
                start.u, start.p, Status.INTERRUPTED, "V was not begun; the controls are those of the start."
            )
        t, values, complete = self._march(problem, plan, progress)
        value = self._value_function(problem, plan, t, values)
        if complete:
            try:
                with interruptible():
                    return self._rolled_out(problem, depth, start, plan, value, progress)
            except KeyboardInterrupt:
                pass
        cut = "; its rollout was interrupted" if complete else ""
        detail = f"V is known from depth {t[0]:g} to {t[-1]:g}{cut}; the controls are those of the start."
        return Outcome(start.u, start.p, Status.INTERRUPTED, detail, extras={"value": self._labelled(value, plan)})

    def _rolled_out(
        self,
        problem: ControlProblem,
        depth: DepthScheme,
        start: Start,
        plan: Plan,
        value: ValueFunction,
        progress: bool | None,
    ) -> Outcome:
        """The answer of a finished V; interrupted after the rollout, without the figures that were still to come."""
        u, x, stages = closed_loop(value, depth, self.feedback)
        inside = plan.grid.inside(x)
        if not np.isfinite(value(inside[0])):
            worst = float(value.violated(inside[:1], np.zeros(1))[0])
            detail = (
                f"V(x0, 0) = inf on {plan}: no control found keeps the states in {problem.bounds!r} to the end; the "
                f"least violation is about {worst:.2g} cells of this grid, and the controls violate them least."
            )
            return Outcome(u, start.p, Status.INFEASIBLE, detail, extras={"value": self._labelled(value, plan)})
        costate = value.slope(inside, np.clip(depth.mesh(problem.span), value.t[0], value.t[-1]))
        attained = _attained(problem, depth, u, x, stages)
        figures, said, status = self._figures(problem, plan, value, x, attained)
        detail = f"V(x0, 0) = {figures['cost']:.8g} on {plan}{said}"
        try:
            with interruptible():
                bound = lower_bound(problem, memory_limit=self.memory_limit, progress=progress)
        except (NotSupported, MemoryError):
            pass
        except KeyboardInterrupt:
            status, detail = Status.INTERRUPTED, f"{detail} Interrupted before a lower bound was proven."
        else:
            if bound.says_more:
                figures["lower_bound"] = bound.value
                detail += f" Every cost is at least {bound.value:.8g} ({bound.argument})."
        shape = (-1, problem.samples, problem.n)
        return wrapped_up(
            lambda: Outcome(
                u,
                start.p,
                status,
                detail,
                claim={**figures, "costate": costate.reshape(shape)},
                multipliers=multipliers(value, depth, u, x, costate),
                extras={"value": self._labelled(value, plan, **figures)},
                x=x.reshape(shape),
                stages=stages.reshape(depth.count, -1, *shape[1:]),
            )
        )

    def _figures(
        self, problem: ControlProblem, plan: Plan, value: ValueFunction, x: Array, attained: float
    ) -> tuple[dict[str, float], str, Status]:
        """V at the start and, as far as anything can be said, its error; in words; and whether the domain holds
        the rollout x (N+1, S·n), whose cost is ``attained``.
        """
        figures = {"cost": float(value(problem.x0.reshape(-1)))}
        searched = "" if plan.scheme not in GENERAL or plan.lookahead.proven else "; minimum of H by search, not proven"
        left = plan.left(x)
        if left:
            return figures, f"{searched}; {left}.", Status.EDGE
        try:
            with interruptible():
                error = float(value.error(problem.x0.reshape(-1)))
                change = self._change(problem, plan, value) if plan.cut else 0.0
        except KeyboardInterrupt:
            return figures, f"{searched}; interrupted before its error was estimated.", Status.INTERRUPTED
        if not change <= error:
            return figures, f"{searched}; a domain half as wide again changes it by {change:.2g}.", Status.EDGE
        if not np.isfinite(error) or figures["cost"] - attained > error + change:
            why = "it has not settled" if not np.isfinite(error) else f"its rollout costs less, {attained:.8g}"
            return figures, f"{searched}; nothing is known of its error, because {why}.", Status.ROLLED_OUT
        figures["value_error"] = error + change
        said = f"{searched}; its error by half the resolution: about {figures['value_error']:.1g}."
        return figures, said, Status.ROLLED_OUT

    def _change(self, problem: ControlProblem, plan: Plan, value: ValueFunction) -> float:
        """How much a wider domain changes V at the start, at half the resolution."""
        start = problem.x0.reshape(-1)
        wider = self._complete(problem, widened(plan), False)
        assert value.coarse is not None
        before, after = float(value.coarse(start)), float(wider(start))
        return 0.0 if before == after else abs(after - before)

    def value_function(self, problem: ControlProblem, *, progress: bool | None = None) -> ValueFunction:
        """V without a rollout; in a domain that is given the initial state of the problem need not lie. Interrupted, it
        saves its checkpoint and raises KeyboardInterrupt.
        """
        return self._complete(problem, self.plan(problem, started=False), progress)

    def plan(self, problem: ControlProblem, *, started: bool = True) -> Plan:
        """Grid, steps, stored depths, kernels and memory, before V is computed; raises as ``solve`` would, or where it
        is not ``started`` from the problem's initial state as ``value_function`` would.

        The steps of the general scheme, unless given, take a few marches on coarser grids.
        """
        plan = planned(self, problem, self.lookahead(problem), started=started)
        chosen = self.steps is not None or self.courant is not None
        if plan.scheme not in GENERAL or chosen or plan.bounds is not None:  # with bounds the error need not fall so
            return plan
        return in_steps(self, problem, plan, settled_steps(plan, lambda outline: self._first(problem, outline)))

    def lookahead(self, problem: ControlProblem) -> Lookahead:
        """One step of dynamic programming, with the user's choice of controls."""
        return Lookahead(problem, self.controls, self.minimiser)

    @property
    def chosen(self) -> bool:
        """Whether the user chose the controls to search, which only the general scheme does."""
        return self.controls is not None or self.minimiser is not None

    @property
    def extended(self) -> list[str]:
        """The options that make V another one than that of the problem."""
        given = {name: getattr(self, name) is not None for name in ("terminal", "target", "obstacle", "settled")}
        given |= {"disturbance": len(self.disturbance) > 0, "discount": self.discount > 0.0}
        return [name for name, used in given.items() if used]

    @property
    def reaching(self) -> bool:
        return self.target is not None or self.obstacle is not None

    # -- the march -------------------------------------------------------------------------------

    def _complete(self, problem: ControlProblem, plan: Plan, progress: bool | None) -> ValueFunction:
        t, values, complete = self._march(problem, plan, progress)
        if not complete:
            raise KeyboardInterrupt(f"value iteration stopped at depth {t[0]:g}")
        return self._value_function(problem, plan, t, values)

    def _first(self, problem: ControlProblem, plan: Plan) -> Array:
        """V at depth 0 on the grid of a plan."""
        _, values, complete = self._march(problem, plan, False)
        if not complete:
            raise KeyboardInterrupt("value iteration stopped while its steps were chosen")
        return values[0] if plan.bounds is None else values[0, 0]

    def _march(self, problem: ControlProblem, plan: Plan, progress: bool | None) -> tuple[Array, Array, bool]:
        """Stored depths t, V there, and whether depth 0 was reached."""
        held = Held(self._given("target", plan), self._given("obstacle", plan))
        value = self._at_the_end(problem, plan, held)
        table = np.empty((len(plan.stored), *value.shape))
        table[-1] = value
        saved = self._checkpoint(problem, plan)
        done = saved.resume(value, table, plan.steps)
        step = problem.span / plan.steps
        least = None if self.extended else least_cost(problem, plan.grid)
        settled, known = self.settled is None, done
        try:
            scheme = self._scheme(problem, plan, step, held) if done < plan.steps else None
            if scheme is not None and saved.kept is not None:
                scheme.restore(saved.kept)
            with interruptible(), progress_bar(f"value iteration, {plan}", plan.steps, progress=progress) as bar:
                bar.update(done)
                while scheme is not None and done < plan.steps:
                    before = value if self.settled is None else value.copy()
                    value = scheme.advance(value, done)
                    done += 1
                    if least is not None:
                        lifted = value if plan.bounds is None else value[0]
                        np.maximum(lifted, least(problem.span - done * step), out=lifted)
                    if self.settled is not None and np.max(np.abs(value - before)) <= self.settled * step:
                        settled, done = True, plan.steps
                    table[plan.rows(known, done)] = value
                    known = done
                    bar.update(1)
                    saved.offer(done, value, table, scheme.kept, final=done == plan.steps)
        except KeyboardInterrupt:
            saved.save_last()
        if scheme is not None and done == plan.steps and not settled:
            warnings.warn(
                f"ValueIteration(settled={self.settled}): V still changes at depth 0; give a longer horizon.",
                RuntimeWarning,
                stacklevel=4,
            )
        first = plan.rows(0, done).start
        t = np.array(plan.stored[first:]) * step
        t[-1] = problem.span
        return t, table[first:], done == plan.steps

    def _given(self, option: str, plan: Plan) -> Array:
        """A table that an option gives, on the grid of the plan."""
        return given_values(option, getattr(self, option), plan.grid, plan.grid if plan.fine is None else plan.fine)

    def _at_the_end(self, problem: ControlProblem, plan: Plan, held: Held) -> Array:
        """What is marched, at depth T: the terminal values, where there are none the target's or the obstacle's."""
        if self.terminal is not None:
            value = self._given("terminal", plan)
        elif problem.terminal is None and self.reaching:
            value = (held.target if held.target.size else held.obstacle).copy()
        else:
            value = terminal_values(problem, plan.grid)
        held.hold(value)
        return value if plan.bounds is None else np.stack([value, StateBounds(problem, plan.grid).terminal()])

    def _checkpoint(self, problem: ControlProblem, plan: Plan) -> Checkpoint:
        """The file of the run at full resolution; half the resolution is soon computed again."""
        if self.checkpoint is None or plan.coarse:
            return Checkpoint(None, {}, self.checkpoint_seconds)
        tables = {name: self._given(name, plan) for name in ("terminal", "target", "obstacle")}
        numbers = {"disturbance": tuple(self.disturbance), "discount": self.discount, "settled": self.settled}
        extended = {name: part for name, part in (tables | numbers).items() if name in self.extended}
        mark = fingerprint(problem, plan, self.lookahead(problem), extended)
        return Checkpoint(self.checkpoint, mark, self.checkpoint_seconds)

    def _scheme(self, problem: ControlProblem, plan: Plan, step: float, held: Held) -> Scheme:
        if plan.scheme in GENERAL:
            bounds = None if plan.bounds is None else StateBounds(problem, plan.grid)
            law, rule = plan.lookahead, GENERAL[plan.scheme]
            return General(law, plan.grid, step, plan.steps, rule, bounds, held, self.discount)
        if plan.scheme in DERIVATIVES:
            assert plan.hamiltonian is not None
            marched = plan.grid, step, plan.steps, plan.scheme, plan.kernels
            return Upwind(plan.hamiltonian, *marched, held, self.discount)
        assert problem.velocity_box is not None
        return SplitFlow(problem.velocity_box, plan.grid, step, plan.scheme, plan.kernels)

    def _value_function(self, problem: ControlProblem, plan: Plan, t: Array, values: Array) -> ValueFunction:
        return ValueFunction(
            problem,
            plan.grid,
            t,
            values if plan.bounds is None else values[:, 0],
            order=1 if plan.first_order else 3,
            step=problem.span / plan.steps,
            coarser=None if plan.coarse > 1 else lambda: self._complete(problem, coarsened(plan), False),
            lookahead=plan.lookahead,
            disturbance=chosen_names("disturbance", self.disturbance, problem.controls, problem.m),  # type: ignore[arg-type]
            discount=self.discount,
            violation=None if plan.bounds is None else values[:, 1],
            plain=not self.extended,
        )

    def _labelled(self, value: ValueFunction, plan: Plan, **figures: float) -> xr.DataArray:
        return value.to_array(
            scheme=plan.scheme,
            nodes=list(plan.grid.shape),
            steps=plan.steps,
            kernels=plan.kernels,
            memory=plan.memory,
            **figures,
        )


def _attained(problem: ControlProblem, depth: DepthScheme, u: Array, x: Array, stages: Array) -> float:
    """The cost of a rollout with controls u (N, m) and states x (N+1, S·n), stages (N, s, S·n)."""
    shape, sweeper, none = (problem.samples, problem.n), Sweeper(problem, depth), np.zeros(problem.P)
    states, inner = x.reshape(-1, *shape), stages.reshape(*stages.shape[:2], *shape)
    return float(sweeper.cost(trajectory_of(sweeper, u, none, states, inner), u, none))
