"""A proven lower bound on the global optimum, whatever the grid.

    J(u) ≥ Σ_s ω_s min_v ℓ_s(x_s(T)) + T inf E + Σ_s ω_s T inf L,

where every sample may choose its own controls v: that, and every bound on the states on the way left out, only lowers
the minimum. The minimum of one sample is bounded by the larger of two: the least ℓ in its reachable box (comparison
equations) within the bounds on states at T, and the monotone scheme corrected by the semiconcavity of V
(``subsolution``), which converges to the minimum without bounds on states under refinement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.analysis.reachability.comparison import ROUNDING, enclosure, reachable_box
from ocdl.analysis.reachability.ranges import ranges
from ocdl.arrays import is_whole
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb.bounds.subsolution import Budget, Quadratic, value_bound
from ocdl.hjb.grids.grid import readable_bytes
from ocdl.statement.discrete import refuse_discrete
from ocdl.statement.noise import refuse_noise
from ocdl.statement.problem import ControlProblem
from ocdl.statement.velocity_box import VelocityBox

Array = NDArray[np.float64]

NODES = {2: 81, 3: 31}  # one neuron's reachable box is exact; four are beyond a grid
FEWEST_NODES, MOST_NODES = 9, 10**12  # beyond which the memory need not be told
MEMORY = 2e9  # bytes
WORK = 3e9  # operations where the number of nodes is not given, some ten seconds


@dataclass(frozen=True)
class LowerBound:
    """``value`` ≤ J for every control, and the ``argument`` that proves it, a few words.

    ``trivial``: what the least loss and the least running costs say whatever the states do; a proof says more.
    """

    value: float
    argument: str
    trivial: float = field(default=-math.inf, repr=False)

    def __float__(self) -> float:
        return self.value

    @property
    def says_more(self) -> bool:
        """Whether it is above the trivial bound, beyond rounding."""
        return self.value > self.trivial + 1e3 * ROUNDING * (1.0 + abs(self.trivial))


def lower_bound(
    problem: ControlProblem,
    nodes: int | None = None,
    *,
    memory_limit: float = MEMORY,
    progress: bool | None = None,
) -> LowerBound:
    """The largest proven lower bound of all costs; exact for one neuron and sample.

    nodes: across the reachable states of a sample, for the scheme; by default 81 and 31 for two and three neurons, else
        none. The bound converges like 1/nodes; smooth activations only.
    memory_limit: bytes. Where states spread so far that the scheme needs more, or by default more than some ten
        seconds, it is tried on half the nodes, and then the comparison equations stand alone.
    progress: a bar; None shows it only on a terminal.

    For selection problems with increasing activation, finite bounds on a and b, and a loss ℓ that is a separable convex
    quadratic of the state, such as HalfSquare without readout. Running costs enter by their least value over the boxes,
    by interval arithmetic: a regulariser by nothing.
    Raises NotSupported otherwise, InvalidInput for nodes that are no number of at least 9 or do not fit the memory.
    """
    box = problem.sample_box if problem.velocity_box is None else problem.velocity_box
    if box is None or not box.of_a_box:
        raise NotSupported(
            "lower_bound: a selection problem with non-decreasing activation and finite bounds on a and b is needed."
        )
    refuse_noise("lower_bound", problem)
    refuse_discrete("lower_bound", problem.discrete, "the bound is that of the differential equation")
    if problem.P > 0:
        raise NotSupported(f"lower_bound: only controls may be free; this problem {problem.also_free}.")
    if problem.measurements is not None:
        raise NotSupported("lower_bound: measurements at given depths; it bounds terminal and running costs only.")
    budget = Budget(memory_limit, WORK if nodes is None else math.inf)
    nodes = _checked(nodes, box.width, memory_limit)
    with np.errstate(all="ignore"):  # what is not finite proves nothing
        total = trivial = _running(problem, box)
        arguments = set()
        for s, weight in enumerate(np.asarray(problem.weights)):
            loss, x0 = _loss(problem, s), problem.x0[s]
            value, argument = loss.least(*_attainable(problem, box, s)), "comparison equations"
            if nodes is not None:
                finer, used = value_bound(box, loss, x0, problem.span, nodes, budget, progress=progress)
                value, argument = max((value, argument), (finer, f"semiconcavity of V, {used} nodes"))
            total += float(weight) * value
            trivial += float(weight) * loss.lowest
            arguments.add(argument)
    alone = [] if problem.samples == 1 else ["every sample alone"]
    return LowerBound(total, "; ".join([*sorted(arguments), *alone]), trivial)


def _checked(nodes: int | None, neurons: int, memory_limit: float) -> int | None:
    if nodes is None:
        return NODES.get(neurons)
    if not (is_whole(nodes) and nodes >= FEWEST_NODES):
        raise InvalidInput(f"lower_bound(nodes={nodes!r}): nodes is a whole number of at least {FEWEST_NODES}.")
    needed = 8.0 * 20.0 * neurons * (1.5 * min(nodes, MOST_NODES) + 8.0) ** neurons
    if needed > memory_limit:
        raise InvalidInput(
            f"lower_bound(nodes={nodes}): {neurons} neurons need about {readable_bytes(needed)}, more than "
            f"{readable_bytes(memory_limit)}; take fewer nodes, or none for the comparison equations alone."
        )
    return int(nodes)


def _attainable(problem: ControlProblem, box: VelocityBox, sample: int) -> tuple[Array, Array]:
    """A box (M,) of what the sample can reach at T within the bounds on states; without them where they exclude all."""
    reached = reachable_box(box, problem.x0[sample], problem.span)
    low, high = (
        np.maximum(reached[0], problem.final_box[0][sample]),
        np.minimum(reached[1], problem.final_box[1][sample]),
    )
    return (low, high) if np.all(low <= high) else reached


def _loss(problem: ControlProblem, sample: int) -> Quadratic:
    """ℓ of one sample where it is a separable convex quadratic."""
    x = ca.SX.sym("x", problem.n)
    loss = problem.terminal_function(x, np.zeros(problem.P), np.asarray(problem.data)[sample])[0]
    hessian, gradient = ca.hessian(loss, x)
    separable = hessian.is_constant() and hessian.sparsity().is_diag()
    curvature = np.diag(ca.DM(hessian).full()) if separable else np.array([-1.0])
    if not np.all(curvature > 0.0):
        raise NotSupported("lower_bound: the terminal loss must be a separable convex quadratic such as HalfSquare.")
    slope = np.asarray(ca.Function("slope", [x], [gradient])(np.zeros(problem.n))).ravel()
    centre = np.asarray(-slope / curvature)
    return Quadratic(float(problem.terminal_loss(centre, sample=sample)), curvature, centre)


def _running(problem: ControlProblem, box: VelocityBox) -> float:
    """T inf E + Σ_s ω_s T inf L over the boxes of controls and reachable states."""
    if not problem.has_running_cost:
        return 0.0
    given = {"t": (np.zeros(1), np.full(1, problem.span)), "u": problem.control_box, "p": (np.zeros(0), np.zeros(0))}
    least = _least(problem, "effort", given)
    for s, weight in enumerate(np.asarray(problem.weights)):
        own = {"x": enclosure(box, problem.x0[s], problem.span), "d": (np.asarray(problem.data)[s],) * 2}
        least += float(weight) * _least(problem, "running", given | own)
    if not np.isfinite(least):
        raise NotSupported("lower_bound: no lower bound of the running cost is known over the controls and the states.")
    return problem.span * (least - ROUNDING * abs(least))


def _least(problem: ControlProblem, role: str, given: dict[str, tuple[Array, Array]]) -> float:
    """inf of a running cost over boxes of what it depends on."""
    if getattr(problem, role) is None:
        return 0.0
    symbols = {name: symbol for name, symbol in problem.symbols().items() if name in given}
    function = ca.Function(role, list(symbols.values()), [ca.densify(problem.evaluate(role, **symbols))])
    intervals = [(low, high) for name in symbols for low, high in zip(*given[name], strict=True)]
    return float(ranges(function, *intervals)[0][0])
