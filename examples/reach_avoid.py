"""From where can a vehicle reach its goal round an obstacle, and what is a game worth whoever moves first?

A vehicle of unit speed, x' = cos θ, y' = sin θ, θ' = u, |u| ≤ 1, is to reach |(x, y)| ≤ 0.4 by T = 2 and stay outside
|(x, y) + (1.3, 0)| < 0.5 on the way. With signed distances l of the goal and g of the obstacle

    V(x, t) = min_u min_{s ≥ t} max { l(x(s)), max_{t ≤ r ≤ s} g(x(r)) },

and V ≤ 0 is the reach–avoid tube. The heading is an angle: its axis is a circle.
The game is ``problems/double_integrator_game.py``: a value exists if what the minimiser's feedback costs at most,
whatever the other does, is what the maximiser's brings at least: both are played against some opponents.

``python examples/reach_avoid.py`` prints the tables and saves ``reach_avoid.png`` and ``reach_avoid_game.png``.
"""

import runpy
from pathlib import Path

import casadi as ca
import numpy as np

import ocdl

GOAL, HORIZON = 0.4, 2.0
PLACE, RADIUS = -1.3, 0.5
STARTS = np.array([[-2.0, 0.9, 0.0], [-1.7, -0.9, 0.0], [0.5, 1.5, -1.0]])
COUNTS = (21, 41, 81)


def to_goal(x):
    return np.hypot(x[..., 0], x[..., 1]) - GOAL


def in_obstacle(x):
    return RADIUS - np.hypot(x[..., 0] - PLACE, x[..., 1])


def vehicle() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "y", "θ"],
        dynamics=lambda x, u: [ca.cos(x[2]), ca.sin(x[2]), u],
        initial=[0.0, 0.0, 0.0],
        horizon=HORIZON,
        bounds=ocdl.Box(u=(-1, 1)),
    )


def tube(**avoided) -> ocdl.ValueFunction:
    method = ocdl.ValueIteration(
        nodes=(41, 41, 24), domain=[(-3, 3), (-3, 3), (0, 2 * np.pi)], periodic=["θ"], target=to_goal, **avoided
    )
    return method.value_function(vehicle())


stated = runpy.run_path(str(Path(__file__).parent.parent / "problems" / "double_integrator_game.py"))
game = stated["problem"]()


def isaacs(nodes: int) -> ocdl.ValueFunction:
    return ocdl.ValueIteration(nodes=nodes, domain=(-4, 4), disturbance=["d"]).value_function(game)


def played(value: ocdl.ValueFunction, minimiser=None, maximiser=None, steps: int = 50) -> float:
    """J from the start, of players with the value's feedback or with a function t → the control."""
    x, h = np.asarray(game.x0[0]), game.horizon / steps
    for k in range(steps):
        u, d = value.controls(x, k * h)[0]
        push = (u if minimiser is None else minimiser(k * h)) + (d if maximiser is None else maximiser(k * h))
        x = np.array([x[0] + h * x[1] + 0.5 * h**2 * push, x[1] + h * push])
    return 0.5 * float(x @ x)


OPPONENTS = {
    "its feedback": lambda most: None,
    "nothing": lambda most: lambda t: 0.0,
    "up": lambda most: lambda t: most,
    "down": lambda most: lambda t: -most,
    "to and fro": lambda most: lambda t: most * np.sign(np.sin(20.0 * t)),
}

free, safe = tube(), tube(obstacle=in_obstacle)
drives = safe.rollout(STARTS, steps=80)
values = [isaacs(nodes) for nodes in COUNTS]
states = np.random.default_rng(0).uniform(-1.2, 1.2, (400, 2))
errors = [float(np.abs(value(states) - stated["least_cost"](states)).max()) for value in values]
at_most = {name: played(values[-1], maximiser=player(0.5)) for name, player in OPPONENTS.items()}
at_least = {name: played(values[-1], minimiser=player(1.0)) for name, player in OPPONENTS.items()}


def draw():
    """The reach–avoid tube for two headings, with drives from three starts."""
    figure = ocdl.plot_value(safe, at=[0.0, 0.0, 0.0])
    axes = figure.axes[0]
    turn = np.linspace(0.0, 2 * np.pi, 100)
    axes.fill(PLACE + RADIUS * np.cos(turn), RADIUS * np.sin(turn), color="tab:red", alpha=0.5)
    axes.plot(GOAL * np.cos(turn), GOAL * np.sin(turn), color="tab:green", lw=2.0)
    for path in np.moveaxis(drives.x, 0, 1):
        axes.plot(path[:, 0], path[:, 1], color="tab:orange", lw=1.8)
        axes.plot(*path[0, :2], "o", color="tab:orange", ms=5)
    axes.set_aspect("equal")
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    for start, path in zip(STARTS, np.moveaxis(drives.x, 0, 1), strict=True):
        print(
            f"{start}: V = {float(safe(start)):+.3f}, without the obstacle {float(free(start)):+.3f}; its drive comes "
            f"to {to_goal(path).min():+.3f} of the goal, {-in_obstacle(path).max():+.3f} of the obstacle"
        )
    for nodes, error in zip(COUNTS, errors, strict=True):
        print(f"game on {nodes}²: largest error {error:.1e}")
    for name in OPPONENTS:
        print(f"{name:>13}: {at_least[name]:.4f} ≥ V = {stated['VALUE']:.4f} ≥ {at_most[name]:.4f}")
    draw().savefig("reach_avoid.png", dpi=110)
    ocdl.plot_value(values[-1], level=stated["VALUE"]).savefig("reach_avoid_game.png", dpi=110)
