"""At what order do piecewise-constant controls converge to the optimum in continuous depth?

Eight neurons with mixed signs, optimum J = 0.968069497335 in continuous depth (indirect shooting at 1e-12).
"""

import numpy as np

import ocdl

OPTIMUM = 0.968069497335
LAYERS = [25, 50, 100, 200]
METHODS = [ocdl.Ipopt(tolerance=1e-11), ocdl.NeedleSteps()]


def problem() -> ocdl.SelectionProblem:
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
        target=lambda y: 3 * np.cos(2 * np.pi * y),
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )


def excess(method: ocdl.Method, layers: int) -> float:
    grid = ocdl.Grid(width=ocdl.Midpoint(8), depth=ocdl.Radau(layers=layers, degree=3))
    return ocdl.solve(problem(), grid, method).cost - OPTIMUM


errors = {method.name: np.array([excess(method, layers) for layers in LAYERS]) for method in METHODS}
orders = {name: float(-np.polyfit(np.log(LAYERS), np.log(error), 1)[0]) for name, error in errors.items()}

if __name__ == "__main__":
    import matplotlib.pyplot as plt

    for name, error in errors.items():
        print(f"{name:>12}: J − J* = {', '.join(f'{e:.2e}' for e in error)}; observed order {orders[name]:.2f}")
        plt.loglog(LAYERS, error, "o-", label=f"{name}, order {orders[name]:.2f}")
    plt.xlabel("layers N")
    plt.ylabel("J − J*")
    plt.legend()
    plt.savefig("mesh_order.png", dpi=150)
