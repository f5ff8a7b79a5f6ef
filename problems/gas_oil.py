"""Catalytic cracking of gas oil: three rate constants from measured concentrations.

y₁' = −(θ₁ + θ₃) y₁²,  y₂' = θ₁ y₁² − θ₂ y₂,  y(0) = (1, 0),  θ ≥ 0,  20 measurements of each,
J = Σ_k |y(t_k) − data_k|².

The published estimates are θ = (11.847, 8.3445, 1.0013) with J = 0.00523659. The first of the 21 published
rows, at t = 0, is the initial value itself.
Sources: problem 12, "Catalytic cracking of gas oil", of COPS 3.0 (Dolan, Moré and Munson, ANL/MCS-TM-273, 2004), which
prints J = 5.23659e-03; Tjoa and Biegler, Ind. Eng. Chem. Res. 30 (1991), who have θ and the data.
"""

import numpy as np

import ocdl

REFERENCE = 0.00523659
DIGITS = 5e-9
ESTIMATES = (11.847, 8.3445, 1.0013)

# t, y₁, y₂
DATA = np.array(
    [
        (0.025, 0.8105, 0.2000),
        (0.050, 0.6208, 0.2886),
        (0.075, 0.5258, 0.3010),
        (0.100, 0.4345, 0.3215),
        (0.125, 0.3903, 0.3123),
        (0.150, 0.3342, 0.2716),
        (0.175, 0.3034, 0.2551),
        (0.200, 0.2735, 0.2258),
        (0.225, 0.2405, 0.1959),
        (0.250, 0.2283, 0.1789),
        (0.300, 0.2071, 0.1457),
        (0.350, 0.1669, 0.1198),
        (0.400, 0.1530, 0.0909),
        (0.450, 0.1339, 0.0719),
        (0.500, 0.1265, 0.0561),
        (0.550, 0.1200, 0.0460),
        (0.650, 0.0990, 0.0280),
        (0.750, 0.0870, 0.0190),
        (0.850, 0.0770, 0.0140),
        (0.950, 0.0690, 0.0100),
    ]
)


def problem() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["gas oil", "gasoline"],
        controls=0,
        parameters=["θ1", "θ2", "θ3"],
        dynamics=lambda x, p: [-(p[0] + p[2]) * x[0] ** 2, p[0] * x[0] ** 2 - p[1] * x[1]],
        initial=[1.0, 0.0],
        horizon=0.95,
        bounds=ocdl.Box(p=(0, np.inf)),
        measurements=ocdl.Measurements(times=DATA[:, 0], values=DATA[:, 1:]),
    )


def grid(layers: int = 40) -> ocdl.DepthScheme:
    return ocdl.through(ocdl.Radau(layers=layers, degree=3), problem())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
