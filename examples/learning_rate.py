"""What is the best learning rate of SGD, and what would it be worth to see where the parameter is?

problems/learning_rate.py: m' = −2 a u m + ½ a S u² for m = E f(θ), dθ = −u a θ dt + u √S dW. The rate is chosen ahead,
as a function of time, by a direct and an indirect method and by value iteration, then polished to its arcs: u = 1 until
t_s = log(4/S − 1)/(2a), then 2m/S, as 1/t. In θ the second-order equation says what that schedule costs, which must be
m(T) again, and what the best feedback u(t, θ) does; both are simulated. Then batches instead of rates, which grow as
e^{at}, and the friction of momentum, by their moments.

``python examples/learning_rate.py`` prints the numbers and saves ``learning_rate.png``.
"""

import importlib.util
from pathlib import Path

import numpy as np

import ocdl

path = Path(__file__).parent.parent / "problems" / "learning_rate.py"
spec = importlib.util.spec_from_file_location("learning_rate", path)
assert spec is not None and spec.loader is not None
stated = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stated)

ahead = {type(m).__name__: ocdl.solve(stated.problem(), stated.grid(), m) for m in stated.methods()}
polished = {
    name: ocdl.polish(stated.problem(), stated.grid(), one) for name, one in ahead.items() if name != "ValueIteration"
}

method = ocdl.StochasticValueIteration(box=(-3.0, 3.0), nodes=121, steps=48)
laws = {
    "u = 1": (1.0, 1.0),
    "schedule u(t)": (stated.optimal, stated.optimal),
    "feedback u(t, θ)": stated.RATES,
}
values = {name: method.value_function(stated.stochastic(rates)) for name, rates in laws.items()}
runs = {name: value.rollout(2000, seed=1) for name, value in values.items()}

DEPTH = ocdl.Radau(layers=40, degree=3)
batches = ocdl.solve(ocdl.moments(stated.batch_size()), DEPTH, ocdl.Ipopt())
friction = {
    type(m).__name__: ocdl.solve(ocdl.moments(stated.momentum()), DEPTH, m)
    for m in (ocdl.Ipopt(), ocdl.ProjectedGradient())
}


def draw():
    import matplotlib.pyplot as plt

    figure, (rate, feedback, other) = plt.subplots(1, 3, figsize=(13, 3.8), constrained_layout=True)
    u = ahead["Ipopt"]["u"]
    rate.stairs(u.values.ravel(), np.append(u["t"].values, stated.T), baseline=None, label="IPOPT, 40 layers")
    times = np.linspace(0.0, stated.T, 301)
    rate.plot(times, [stated.optimal(t) for t in times], "k:", label="exact")
    for name, one in runs.items():
        m = 0.5 * stated.A * (one.paths["mean_states"] ** 2 + one.paths["spread_states"] ** 2)
        rate.plot(m["t"], m.values.ravel(), lw=1, label=f"E f(θ), {name}")
    rate.set(xlabel="t", yscale="log", title="rates chosen ahead")
    rate.legend(fontsize=7)
    table = values["feedback u(t, θ)"].dataset["u"]
    shown = feedback.pcolormesh(table["t_control"], table["theta"], table.T, shading="nearest", cmap="viridis")
    paths = runs["feedback u(t, θ)"].paths
    feedback.plot(paths["t"], paths["states"].isel(state=0, path=slice(0, 8)), color="w", lw=0.5)
    feedback.set(xlabel="t", ylabel="θ", title="the best rate that sees θ")
    figure.colorbar(shown, ax=feedback)
    B, gamma = batches["B"], friction["Ipopt"]["gamma"]
    for one, label in ((B, "batch B"), (gamma, "friction γ")):
        other.stairs(one.values.ravel(), np.append(one["t"].values, stated.T), baseline=None, label=label)
    other.plot(times, stated.best_batch(times), "k:", label="exact batch")
    other.set(xlabel="t", title="batches, momentum")
    other.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    print(f"exact: t_s = {stated.SWITCH:.7f}, m(T) = {stated.REFERENCE:.11f}")
    for name, one in ahead.items():
        print(f"{name:>24}: {one.cost:.8f}" + (f", polished {polished[name].cost:.11f}" if name in polished else ""))
    for name, one in runs.items():
        print(f"{name:>24}: {one}")
    print(f"{'batches':>24}: {batches.cost:.8f}")
    for name, one in friction.items():
        print(f"{'friction, ' + name:>24}: {one.cost:.8f}")
    draw().savefig("learning_rate.png", dpi=110)
