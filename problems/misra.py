"""Dental research in monomolecular adsorption: two parameters with certified standard errors.

y' = β₂ (β₁ − y),  y(0) = 0, which is y = β₁ (1 − e^{−β₂ t}),  14 measurements,  J = Σ_k (y(t_k) − data_k)².

Certified: β₁ = 238.94212918 ± 2.7070075241, β₂ = 5.5015643181e-4 ± 7.2668688436e-6, J = 0.12455138894.
Source: Misra (1978), data set Misra1a of NIST's Statistical Reference Datasets, nonlinear regression.
"""

import numpy as np

import ocdl

REFERENCE = 0.12455138894
DIGITS = 1e-11
ESTIMATES = (238.94212918, 5.5015643181e-4)
STANDARD_ERRORS = (2.7070075241, 7.2668688436e-6)

TIMES = (77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0)
VOLUMES = (10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78)


def problem() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["y"],
        controls=0,
        parameters=["β1", "β2"],
        dynamics=lambda x, p: p[1] * (p[0] - x),
        initial=[0.0],
        horizon=760.0,
        bounds=ocdl.Box(p=(0, np.inf)),
        measurements=ocdl.Measurements(times=TIMES, values=VOLUMES),
    )


def grid(layers: int = 14) -> ocdl.DepthScheme:
    return ocdl.through(ocdl.Radau(layers=layers, degree=4), problem())


def start() -> dict[str, object]:
    return {"p": [250.0, 5e-4]}


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
