"""Learning curves: loss and accuracy on training and test samples, by iteration and second of a method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.arrays import Array, is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.networks.labels import checked_labels
from ocdl.referee.labels import coefficients
from ocdl.referee.outcome import Status
from ocdl.referee.solution import Solution
from ocdl.solving.compile import compile
from ocdl.solving.method import Method
from ocdl.solving.predict import accuracy, readout_of, stated_for
from ocdl.statement.data import Samples
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.sweeps.sweeper import Sweeper

SETS = ("training", "test")
RATIO = math.sqrt(2.0)  # of one number of iterations to the next


def learning_curve(
    problem: ControlProblem | SelectionProblem,
    grid: Grid | DepthScheme,
    method: Method,
    test: Samples | None = None,
    *,
    iterations: Sequence[int] | None = None,
    start: Solution | Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> xr.Dataset:
    """How ``method`` learns: "loss" and "accuracy" (iteration, set), J as "cost" and CPU "seconds" (iteration,).

    loss: what the errors cost in the mean, without regulariser. set: "training", the problem's own samples, and
    "test" where there are any. iterations: after how many one looks; 1, 2, 3, 4, 6, 8, 11, ..., √2 times as many each,
    up to the method's ``max_iterations`` by default. start, seed: as of ``solve``.

    Methods keep nothing and tell nobody where they are: for every number of iterations this one starts anew and does as
    many, so that the curve is the method's own, with all that it remembers. By the factor √2 it costs 3.4 times the
    last run. A schedule that looks ahead to ``max_iterations`` looks ahead to each of them.

    Raises InvalidInput for a problem that ends in no readout, and for a method that does not count its iterations.
    """
    rows = [_Audience(problem, grid)] + ([] if test is None else [_Audience(problem, grid, test)])
    seen: dict[int, tuple[float, float, list[tuple[float, float]]]] = {}
    counts, plan = _counts(method, iterations), None
    for count in [counts[0], *counts]:  # once more, as what compiles at first is no time of the method's
        plan = compile(problem, grid, replace(method, max_iterations=count), like=plan)  # type: ignore[call-arg]
        found = plan.solve(start=start, seed=seed, certificate="first order", on_failure="return", progress=False)
        history, over = found.group("history"), found.status is not Status.ITERATION_LIMIT
        seconds = float(history["cpu_seconds"][-1]) if "cpu_seconds" in history else found.seconds
        done = min(count, history.sizes.get("iteration", count + 1) - 1) if over else count
        seen[done] = seconds, found.cost, [row.heard(found) for row in rows]
        if over:
            break
    clock, costs, heard = zip(*seen.values(), strict=True)
    loss, right = np.moveaxis(np.array(heard), -1, 0)
    by_set = ("iteration", "set")
    return xr.Dataset(
        {"loss": (by_set, loss), "accuracy": (by_set, right), "cost": ("iteration", list(costs))},
        coords={
            "iteration": list(seen),
            "set": list(SETS[: len(rows)]),
            "seconds": ("iteration", np.maximum.accumulate(clock)),
        },
        attrs={"method": method.name},
    )


def _counts(method: Method, iterations: Sequence[int] | None) -> list[int]:
    """After how many iterations one looks."""
    if not any(field.name == "max_iterations" for field in fields(method)):
        raise InvalidInput(f"learning_curve(..., {method!r}): a method with max_iterations is needed, such as LBFGS().")
    if iterations is None:
        last = int(method.max_iterations)  # type: ignore[attr-defined]
        powers = np.round(RATIO ** np.arange(math.log(max(last, 1), RATIO) + 0.5)).astype(int)
        return sorted({*powers[powers < last].tolist(), last})
    if not (len(iterations) and all(is_whole(count) and count >= 1 for count in iterations)):
        raise InvalidInput(f"learning_curve(..., iterations={iterations!r}): whole numbers, at least 1, are needed.")
    return sorted({int(count) for count in iterations})


class _Audience:
    """Samples that judge trained networks: by the loss alone, and by the share of right predictions."""

    def __init__(self, problem: Any, grid: Any, samples: Samples | None = None) -> None:
        stated, self.depth = stated_for(problem, grid, None if samples is None else samples.inputs)
        self.terminal = readout_of("learning_curve", stated)
        data: Array = stated.data
        if samples is not None:
            S, K = data.shape
            link, loss = self.terminal.link, self.terminal.loss
            data = checked_labels(samples.labels, S, K, link, loss, one_class=True)
        self.labels = data.argmax(axis=1) if data.shape[1] > 1 else data[:, 0]
        self.statement = replace(stated, data=data, effort=None, penalty=None)
        self.sweeper = Sweeper(self.statement, self.depth)

    def heard(self, solution: Solution) -> tuple[float, float]:
        """Loss and accuracy."""
        u, p = coefficients(self.statement, self.depth, solution)
        trajectory, loss = self.sweeper.integral(u, p)
        prediction = self.terminal.link(self.terminal.output.values(trajectory.x[-1], p))
        return float(loss), accuracy(prediction, self.labels)
