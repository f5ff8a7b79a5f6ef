"""Which method takes which problem? Every method of the package is asked, of one plain problem and of every feature.

The plain problem steers ẋ = v, v̇ = u, |u| ≤ 1 by ½ |x(T)|² in T = 1. A method takes a feature where its ``check``
raises nothing; what it refuses it refuses in words before anything is computed. A method may take a problem and still
not solve it: what comes back is judged by the referee, whoever found it.
"""

import casadi as ca
import numpy as np

import ocdl

CONSTANT = ocdl.Radau(layers=10, degree=3)
LINEAR = ocdl.Radau(layers=10, degree=3, controls=ocdl.PiecewiseLinear())


def problem(**changes) -> ocdl.ControlProblem:
    plain = {
        "dynamics": lambda x, u: [x[1], u[0]],
        "initial": [1.0, 0.0],
        "horizon": 1.0,
        "terminal": lambda x: 0.5 * ca.sumsqr(x),
        "bounds": ocdl.Box(u=(-1, 1)),
    }
    return ocdl.ControlProblem(**(plain | changes))


BOX = {"u": (-1, 1)}
FEATURES = {
    "nothing more": problem(),
    "running cost": problem(running=lambda x, u: u[0] ** 2),
    "samples": problem(initial=[[1.0, 0.0], [0.5, 0.0]]),
    "parameters": problem(parameters=1, dynamics=lambda x, u, p: [x[1], u[0] + p[0]], bounds=ocdl.Box(p=(0, 1), **BOX)),
    "free x(0)": problem(initial=[ocdl.Free(0, 1), 0.0]),
    "x(T) given": problem(final=[0.9, None]),
    "boundary": problem(boundary=lambda x0, xT: xT[0] - 0.9 * x0[0]),
    "free T": problem(horizon=ocdl.Free(0.5, 2.0)),
    "bounds on x": problem(bounds=ocdl.Box(x=(-2, 2), **BOX)),
    "path": problem(path=lambda x, u: u[0] * x[0] - 1),
    "bounds in t": problem(bounds=ocdl.Box(u=(lambda t: -1 - t, 1))),
    "measurements": problem(measurements=ocdl.Measurements(times=[0.5], values=[[1.0, 0.0]])),
    "linear u": problem(),
}
METHODS = [
    ocdl.Ipopt(),
    ocdl.Ipopt(space="reduced"),
    ocdl.InteriorPoint(),
    ocdl.NeedleSteps(),
    ocdl.SuccessiveApproximations(),
    ocdl.ExtendedSuccessiveApproximations(),
    ocdl.SequentialQuadraticHamiltonian(),
    ocdl.ConditionalGradient(),
    ocdl.ProjectedGradient(),
    ocdl.ProximalAlternatingMinimisation(),
    ocdl.GradientDescent(),
    ocdl.StochasticGradient(),
    ocdl.LBFGSB(),
    ocdl.LBFGS(),
    ocdl.Train(),
    ocdl.AdversarialTraining(ocdl.Ball(0.1)),
    ocdl.ProjectedNewton(),
    ocdl.IndirectShooting(),
    ocdl.AugmentedLagrangian(),
    ocdl.ValueIteration(),
]


def refusal(method: ocdl.Method, feature: str) -> str:
    """Why the method does not take the problem, in its own words; nothing where it does."""
    try:
        method.check(FEATURES[feature], LINEAR if feature == "linear u" else CONSTANT)
    except (ocdl.NotSupported, ocdl.InvalidInput) as error:
        return str(error)
    return ""


def called(method: ocdl.Method) -> str:
    return method.name + (" (reduced)" if getattr(method, "space", "") == "reduced" else "")


refusals = {called(method): {feature: refusal(method, feature) for feature in FEATURES} for method in METHODS}
taken = {name: [feature for feature, said in found.items() if not said] for name, found in refusals.items()}


def draw():
    import matplotlib.pyplot as plt

    table = np.array([[not said for said in found.values()] for found in refusals.values()])
    figure, axes = plt.subplots(figsize=(9, 6), constrained_layout=True)
    axes.imshow(table, cmap="Greys", vmin=0, vmax=2, aspect="auto")
    axes.set_xticks(range(len(FEATURES)), FEATURES, rotation=45, ha="right")
    axes.set_yticks(range(len(refusals)), refusals)
    axes.set_title("taken (grey) and refused in words (white)")
    return figure


if __name__ == "__main__":
    for name, found in refusals.items():
        print(f"{name:34}", "".join(" ✓" if not said else " ·" for said in found.values()))
    print("\nin this order:", ", ".join(FEATURES))
    print(
        "\nValueIteration:", *(f"\n  {feature}: {said}" for feature, said in refusals["ValueIteration"].items() if said)
    )
    draw().savefig("who_takes_what.png", dpi=110)
