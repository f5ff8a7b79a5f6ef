"""Isomerisation of α-pinene: five rate constants of order 1e-5 per minute from measured concentrations.

y₁' = −(θ₁ + θ₂) y₁,  y₂' = θ₁y₁,  y₃' = θ₂y₁ − (θ₃ + θ₄) y₃ + θ₅y₅,  y₄' = θ₃y₃,  y₅' = θ₄y₃ − θ₅y₅,
y(0) = (100, 0, 0, 0, 0) per cent,  θ ≥ 0,  8 measurements of each,  J = Σ_k |y(t_k) − data_k|².

The published estimates are θ = (5.926, 2.963, 2.047, 27.45, 3.998)·1e-5 with J = 19.87. From θ = 0 the fit ends in a
local minimum with J = 2935.157; the guess here is a common order of magnitude.
Sources: problem 11, "Isomerization of α-pinene", of COPS 3.0 (Dolan, Moré and Munson, ANL/MCS-TM-273, 2004), which
prints J = 1.98721e+01; measurements of Fuguitt and Hawkins, J. Am. Chem. Soc. 69 (1947); estimates of
Rodriguez-Fernandez, Egea and Banga, BMC Bioinformatics 7:483 (2006).
"""

import numpy as np

import ocdl

REFERENCE, DIGITS = 19.87216693, 5e-9
PUBLISHED, PUBLISHED_DIGITS = 19.8721, 1e-4  # truncated, not rounded
ESTIMATES = (5.926e-5, 2.963e-5, 2.047e-5, 2.745e-4, 3.998e-5)

# t in minutes, y₁ ... y₅ in per cent
DATA = np.array(
    [
        (1230.0, 88.35, 7.3, 2.3, 0.4, 1.75),
        (3060.0, 76.4, 15.6, 4.5, 0.7, 2.8),
        (4920.0, 65.1, 23.1, 5.3, 1.1, 5.8),
        (7800.0, 50.4, 32.9, 6.0, 1.5, 9.3),
        (10680.0, 37.5, 42.7, 6.0, 1.9, 12.0),
        (15030.0, 25.9, 49.1, 5.9, 2.2, 17.0),
        (22620.0, 14.0, 57.4, 5.1, 2.6, 21.0),
        (36420.0, 4.5, 63.1, 3.8, 2.9, 25.7),
    ]
)


def problem() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["α-pinene", "dipentene", "allo-ocimene", "pyronene", "dimer"],
        controls=0,
        parameters=["θ1", "θ2", "θ3", "θ4", "θ5"],
        dynamics=lambda x, p: [
            -(p[0] + p[1]) * x[0],
            p[0] * x[0],
            p[1] * x[0] - (p[2] + p[3]) * x[2] + p[4] * x[4],
            p[2] * x[2],
            p[3] * x[2] - p[4] * x[4],
        ],
        initial=[100.0, 0.0, 0.0, 0.0, 0.0],
        horizon=DATA[-1, 0],
        bounds=ocdl.Box(p=(0, np.inf)),
        measurements=ocdl.Measurements(times=DATA[:, 0], values=DATA[:, 1:]),
    )


def grid(layers: int = 40) -> ocdl.DepthScheme:
    return ocdl.through(ocdl.Radau(layers=layers, degree=5), problem())


def start() -> dict[str, object]:
    return {"p": np.full(5, 1e-4)}


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
