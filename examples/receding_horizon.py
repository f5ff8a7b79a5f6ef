"""Does looking ahead again at every step hold a plant that is not the model?

A pendulum is held upright by a torque |u| ≤ 1: the model is θ̈ = sin θ + u, J = ∫ 2 θ² + θ̇² + u² dt. The plant is
heavier, has friction, its motor is weak, and from t = 8 to 9 there is a gust: θ̈ = 1.15 sin θ − 0.1 θ̇ + 0.9 u + w.
Flown in 200 steps of 0.1: the plan of the whole time in open loop, its feedback u*(t) − K(t)(x − x*(t)) by neighbouring
extremals, held in a step, and a plan of the next 2.5 made anew at every step from where the plant is: compiled once,
each solve begun from the last.
"""

import numpy as np

import ocdl

STEP, STEPS, AHEAD = 0.1, 200, 25
BEGIN = [0.6, 0.0]


def model(horizon: float) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["angle", "speed"],
        controls=["torque"],
        dynamics=lambda angle, speed, torque: [speed, np.sin(angle) + torque],
        running=lambda angle, speed, torque: 2 * angle**2 + speed**2 + torque**2,
        initial=BEGIN,
        horizon=horizon,
        bounds=ocdl.Box(torque=(-1, 1)),
    )


def plant(t: float, x: np.ndarray, u: float) -> np.ndarray:
    gust = 0.5 if 8.0 <= t < 9.0 else 0.0
    return np.array([x[1], 1.15 * np.sin(x[0]) - 0.1 * x[1] + 0.9 * u + gust])


def moved(t: float, x: np.ndarray, u: float) -> np.ndarray:
    """The plant's state after a step, by the classical method of order 4."""
    a = plant(t, x, u)
    b = plant(t + STEP / 2, x + STEP / 2 * a, u)
    c = plant(t + STEP / 2, x + STEP / 2 * b, u)
    d = plant(t + STEP * (1 - 1e-9), x + STEP * c, u)
    return x + STEP / 6 * (a + 2 * b + 2 * c + d)


def flown(law) -> tuple[np.ndarray, np.ndarray]:
    """States (201, 2) and torques (200,) under ``law(step, x)``; a pendulum that has fallen is left alone."""
    x, u = [np.array(BEGIN)], []
    for k in range(STEPS):
        u.append(float(law(k, x[-1])) if abs(x[-1][0]) < np.pi else 0.0)
        x.append(moved(k * STEP, x[-1], u[-1]))
    return np.array(x), np.array(u)


def receding():
    """The first torque of the best plan from here, which begins where the last one left off."""
    plan = ocdl.compile(model(AHEAD * STEP), ocdl.Radau(layers=AHEAD, degree=2), ocdl.Ipopt(tolerance=1e-6))
    last = None

    def law(_: int, x: np.ndarray) -> float:
        nonlocal last
        last = plan.solve(initial=x, start=last, progress=False)
        return last.controls["u"].values[0, 0]

    return law


depth = ocdl.Radau(layers=STEPS, degree=2)
whole = ocdl.solve(model(STEP * STEPS), depth, ocdl.Ipopt())
near = ocdl.neighbouring(model(STEP * STEPS), depth, whole)
torques = whole.controls["u"].values[:, 0]
flights = {
    "open loop": flown(lambda k, x: torques[k]),
    "feedback": flown(lambda k, x: near.feedback(STEP * k, x)[0]),
    "receding horizon": flown(receding()),
}


def cost(x: np.ndarray, u: np.ndarray) -> float:
    """∫ 2 θ² + θ̇² + u² dt, by trapezoids in the states."""
    running = 2 * x[:, 0] ** 2 + x[:, 1] ** 2
    return STEP * float(np.sum(0.5 * (running[1:] + running[:-1])) + np.sum(u**2))


def draw():
    import matplotlib.pyplot as plt

    t = STEP * np.arange(STEPS + 1)
    figure, (angles, held) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, constrained_layout=True)
    angles.plot(t, whole.state.values[:, 0, 0], "k:", label="plan, by the model")
    for name, (x, u) in flights.items():
        angles.plot(t, x[:, 0], label=name)
        held.step(t[:-1], u, where="post")
    for axis in (angles, held):
        axis.axvspan(8.0, 9.0, color="0.9")
    angles.set(ylabel="angle", ylim=(-0.6, 1.2), title="an upright pendulum that is not its model; gust shaded")
    angles.legend()
    held.set(ylabel="torque", xlabel="t")
    return figure


if __name__ == "__main__":
    print(f"{'law':>17} {'cost':>9} {'largest |angle| from t = 10':>29} {'steps at full torque':>21}")
    for name, (x, u) in flights.items():
        late = np.max(np.abs(x[100:, 0]))
        print(f"{name:>17} {cost(x, u):9.3f} {late:29.4f} {np.sum(np.abs(u) > 1 - 1e-6):21d}")
    draw().savefig("receding_horizon.png", dpi=110)
