"""Problems of reachability, in ocdl and in hj_reachability on the same grid: run by ``against_hj_reachability.py``.

The double integrator: ½ |x(1)|², exact, for one switch is enough. Dubins' car: ½ dist² to the origin at T = 1 with a
periodic heading, exact where the origin is out of reach, for the car then turns and goes straight, or turns the other
way. The pendulum with a periodic angle and the game of two aircraft (reach–avoid: within 5 of the other, round a storm)
against the *peer's* values on a grid of half the spacing, which favours the peer. Errors are at nodes where no edge of
the domain is felt. Seconds of ocdl are those of ``value_function``: all but the statement, compilation apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import casadi as ca
import numpy as np

import ocdl

TURN = 2 * np.pi
UNIT = ocdl.Box(u=(-1, 1))


@dataclass(frozen=True)
class Reach:
    name: str
    nodes: tuple[int, ...]
    domain: list[tuple[float, float]]
    statement: dict[str, Any]
    inner: Callable[[np.ndarray], np.ndarray]
    exact: Callable[[np.ndarray], np.ndarray] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def problem(self) -> ocdl.ControlProblem:
        given = {"initial": [0.0] * len(self.nodes), "horizon": 1.0, "bounds": UNIT}
        return ocdl.ControlProblem(**(given | self.statement))

    def method(self, kernels: str) -> ocdl.ValueIteration:
        """On the very nodes of the peer, both ends of an axis that is no circle among them."""
        circles = self.options.get("periodic", ())
        ends = enumerate(zip(self.domain, self.nodes, strict=True))
        nodes = [n if i in circles else np.linspace(*end, n) for i, (end, n) in ends]
        return ocdl.ValueIteration(nodes=nodes, domain=self.domain, depths=[0.0], kernels=kernels, **self.options)


def switched(x: np.ndarray) -> np.ndarray:
    """Double integrator: the least ½ |x(1)|² over a switch at s from ∓1 to ±1; 0 where rest at 0 is reached by 1."""
    position, speed = x[:, :1], x[:, 1:]
    s, found = np.linspace(0.0, 1.0, 4001), np.full(len(x), np.inf)
    for u in (-1.0, 1.0):
        end = speed + u * (2.0 * s - 1.0)
        way = position + speed + u * (s * (1.0 - s) + 0.5 * s**2 - 0.5 * (1.0 - s) ** 2)
        found = np.minimum(found, 0.5 * (way**2 + end**2).min(axis=1))
    side = np.where(position > -0.5 * speed * np.abs(speed), 1.0, -1.0)
    least_time = side * speed + 2.0 * np.sqrt(np.maximum(0.5 * speed**2 + side * position, 0.0))
    return np.where(least_time[:, 0] <= 1.0, 0.0, found)


def turned(x: np.ndarray) -> np.ndarray:
    """Dubins' car: the least ½ dist² over turns until s, then straight or the other way."""
    s, found = np.linspace(0.0, 1.0, 2001), np.full(len(x), np.inf)
    heading = x[:, 2:]
    for u in (-1.0, 1.0):
        for after in (0.0, -u):
            first = heading + u * s
            rest = 1.0 - s
            if after:
                last = first + after * rest
                ahead = (np.sin(last) - np.sin(first)) / after, (np.cos(first) - np.cos(last)) / after
            else:
                ahead = rest * np.cos(first), rest * np.sin(first)
            right = x[:, :1] + (np.sin(first) - np.sin(heading)) / u + ahead[0]
            up = x[:, 1:2] + (np.cos(heading) - np.cos(first)) / u + ahead[1]
            found = np.minimum(found, 0.5 * (right**2 + up**2).min(axis=1))
    return found


def aircraft(x: Any, u: Any) -> Any:
    return [5.0 * (ca.cos(x[2]) - 1.0) + u[1] * x[1], 5.0 * ca.sin(x[2]) - u[1] * x[0], u[0] - u[1]]


PENDULUM = {
    "dynamics": lambda x, u: [x[1], ca.sin(x[0]) + u],
    "terminal": lambda x: 1.0 - ca.cos(x[0]) + 0.5 * x[1] ** 2,
}
DUBINS = {
    "dynamics": lambda x, u: [ca.cos(x[2]), ca.sin(x[2]), u],
    "terminal": lambda x: 0.5 * (x[0] ** 2 + x[1] ** 2),
}
CASES = [
    *(
        Reach(
            "DoubleIntegrator", (n, n), [(-4, 4)] * 2,
            {"dynamics": lambda x, u: [x[1], u], "terminal": lambda x: 0.5 * ca.sumsqr(x)},
            lambda x: np.all(np.abs(x) <= 1.6, axis=-1), switched,
        )
        for n in (41, 81, 161, 321)
    ),
    Reach(
        "Dubins", (31, 31, 24), [(-3, 3), (-3, 3), (0, TURN)], DUBINS,
        lambda x: np.abs(np.hypot(x[..., 0], x[..., 1]) - 1.55) <= 0.45, turned, {"periodic": [2]},
    ),
    Reach(
        "Pendulum", (80, 81), [(0, TURN), (-4, 4)], PENDULUM, lambda x: np.abs(x[..., 1]) <= 2.0,
        options={"periodic": [0]},
    ),
    Reach(
        "Aircraft", (41, 41, 30), [(-6, 20), (-10, 10), (0, TURN)],
        {"dynamics": aircraft, "controls": 2, "terminal": None},
        lambda x: (np.abs(x[..., 0] - 7.0) <= 8.0) & (np.abs(x[..., 1]) <= 6.0),
        options={
            "periodic": [2], "disturbance": [1], "target": lambda x: np.hypot(x[..., 0], x[..., 1]) - 5.0,
            "obstacle": lambda x: 3.0 - np.hypot(x[..., 0] - 10.0, x[..., 1]),
        },
    ),
]  # fmt: skip
