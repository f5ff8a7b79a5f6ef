"""Observed orders of value iteration across kinks: two neurons, errors over |f| ≤ 1.25 on 41² to 321² nodes.

    python benchmarks/hjb/orders.py

b ≡ 0 is exact (½ dist² to the reachable interval of each neuron); the others are measured against 1281² nodes.
"""

import numpy as np

import ocdl

AXIS = np.linspace(-1.25, 1.25, 41)
STATES = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1)
NODES = (41, 81, 161, 321)


def problem(target: tuple[float, float], a=(-1, 1), b=(-1, 1)) -> ocdl.ControlProblem:
    statement = ocdl.SelectionProblem(
        activation=ocdl.Tanh(), horizon=1.0, initial=[0.1, 0.2], target=list(target), bounds=ocdl.Box(a=a, b=b)
    )
    return statement.discretise(ocdl.Midpoint(2))


def values(statement: ocdl.ControlProblem, nodes: int) -> np.ndarray:
    return ocdl.ValueIteration(nodes=nodes, domain=(-2.5, 2.5), depths=[0.0]).value_function(statement)(STATES)


def separable(target: tuple[float, float], a: tuple[float, float]) -> np.ndarray:
    alone = [
        0.25 * np.maximum(0.0, np.maximum(AXIS + np.tanh(a[0]) - c, c - AXIS - np.tanh(a[1]))) ** 2 for c in target
    ]
    return alone[0][:, None] + alone[1]


def main() -> None:
    skew, kinked = (-0.6, 1.1), ((0.4, -0.3), (0.37, -0.27), (0.8, 0.6), (0.81, 0.57))
    cases = {f"b = 0, c = {c}": (problem(c, skew, (0, 0)), separable(c, skew)) for c in kinked}
    for target in ((0.0, 1.2), *kinked):
        statement = problem(target)
        cases[f"c = {target}"] = (statement, values(statement, 1281))
    for name, (statement, reference) in cases.items():
        differences = [np.abs(values(statement, n) - reference) for n in NODES]
        for norm, measured in (("sup", [d.max() for d in differences]), ("L1", [d.mean() for d in differences])):
            order = np.log2(measured[0] / measured[-1]) / (len(NODES) - 1)
            print(f"{name:27} {norm:3}  " + "  ".join(f"{e:.1e}" for e in measured) + f"   mean order {order:.2f}")


if __name__ == "__main__":
    main()
