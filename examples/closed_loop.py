"""What does the best control of an unstable plant do when the plant is not quite the one it was computed for?

min ∫ x² + u² dt, ẋ = a x + u, a = 5, x(0) = 1, T = 5: what is off by ε at the start is off by e²⁵ ε at the end. Flown
by an integrator with error control: the controls alone, and u*(t) − K(t)(x − x*(t)) with the gain of the neighbouring
extremals, which is that of Riccati's equation −ṡ = 2 a s − s² + 1, s(T) = 0, K = s, V = s x².
"""

import numpy as np

import ocdl

A, T = 5.0, 5.0


def problem(*, a: float = A, start: float = 1.0, push: float = 0.0) -> ocdl.ControlProblem:
    """``push``: a constant disturbance of the rate."""
    return ocdl.ControlProblem(
        states=["x"],
        controls=["u"],
        dynamics=lambda x, u: [a * x[0] + u + push],
        running=lambda x, u: x[0] ** 2 + u**2,
        initial=[start],
        horizon=T,
    )


def riccati(t):
    """s(t) = 1 / (w coth w(T − t) − a), w² = a² + 1."""
    w = np.hypot(A, 1.0)
    return 1.0 / (w / np.tanh(w * (T - t)) - A)


depth = ocdl.Radau(layers=60, degree=3, controls=ocdl.PiecewiseLinear())
method = ocdl.Ipopt(tolerance=1e-10)
solution = ocdl.solve(problem(), depth, method)
near = ocdl.neighbouring(problem(), depth, solution)

PLANTS = {
    "the model itself": problem(),
    "x(0) = 1.01": problem(start=1.01),
    "a = 5.2": problem(a=5.2),
    "pushed by 0.1": problem(push=0.1),
}
times = np.linspace(0.0, T, 101)


def fly(plant: ocdl.ControlProblem, law) -> ocdl.Simulation:
    return ocdl.simulate(plant, law, times=times, tolerance=1e-6)


flights = {name: (fly(plant, solution), fly(plant, near.feedback)) for name, plant in PLANTS.items()}
best = {name: ocdl.solve(plant, depth, method).cost for name, plant in PLANTS.items()}
predicted = near.predicted(initial=[1.01]).cost


def draw():
    import matplotlib.pyplot as plt

    figure, (states, gains) = plt.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
    for colour, (name, (alone, closed)) in enumerate(flights.items()):
        states.plot(times, np.abs(closed.state.values.ravel()), color=f"C{colour}", label=name)
        states.plot(times, np.abs(alone.state.values.ravel()), "--", color=f"C{colour}")
    states.set(
        yscale="log", ylim=(1e-4, 1e3), xlabel="t", ylabel="|x|", title="feedback (solid), controls alone (dashed)"
    )
    states.legend(fontsize=8)
    gains.plot(near.gain.t, near.gain.values.ravel(), label="K(t)")
    gains.plot(times[:-1], riccati(times[:-1]), ":", color="k", label="Riccati")
    gains.set(xlabel="t", title="gain")
    gains.legend()
    return figure


if __name__ == "__main__":
    print(near.minimum.why)
    print(f"\n{'plant':>18} {'least cost':>12} {'feedback':>12} {'alone':>10} {'|x(T)| alone':>13}")
    for name, (alone, closed) in flights.items():
        end = abs(float(alone.state.values.ravel()[-1]))
        print(f"{name:>18} {best[name]:12.6f} {closed.cost:12.6f} {alone.cost:10.1e} {end:13.1e}")
    print(f"\nx(0) = 1.01, predicted without a solve: {predicted:.6f}")
    draw().savefig("closed_loop.png", dpi=110)
