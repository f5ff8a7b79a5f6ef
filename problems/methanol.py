"""Methanol to hydrocarbons: five rate constants from measured concentrations, one of which vanishes.

y₁' = −(2θ₂ − θ₁y₂/D + θ₃ + θ₄) y₁,  y₂' = θ₁y₁ (θ₂y₁ − y₂)/D + θ₃y₁,  y₃' = θ₁y₁ (y₂ + θ₅y₁)/D + θ₄y₁,
D = (θ₂ + θ₅) y₁ + y₂,  y(0) = (1, 0, 0),  θ ≥ 0,  16 measurements of each,  J = Σ_k |y(t_k) − data_k|².

θ₅ ends at 0, whence J grows by 6.57e-4 θ₅; the others are θ = (1.775181, 2.167983, 1.857560, 1.802447).
The first of the 17 published rows, at t = 0, is the initial value itself.
Sources: problem 13, "Methanol to hydrocarbons", of COPS 3.0 (Dolan, Moré, Munson, ANL/MCS-TM-273, 2004), which prints
J = 9.02229e-03 and cites Maria, Can. J. Chem. Eng. 67 (1989), and Esposito and Floudas, Ind. Eng. Chem. Res. 39 (2000).
"""

import numpy as np

import ocdl

REFERENCE, DIGITS = 0.00902228985, 5e-12
PUBLISHED, PUBLISHED_DIGITS = 0.00902229, 5e-9
ESTIMATES = (1.775181, 2.167983, 1.857560, 1.802447, 0.0)

# t, y₁, y₂, y₃
DATA = np.array(
    [
        (0.050, 0.7085, 0.1621, 0.0811),
        (0.065, 0.5971, 0.1855, 0.0965),
        (0.080, 0.5537, 0.1989, 0.1198),
        (0.123, 0.3684, 0.2845, 0.1535),
        (0.233, 0.1712, 0.3491, 0.2097),
        (0.273, 0.1198, 0.3098, 0.2628),
        (0.354, 0.0747, 0.3576, 0.2467),
        (0.397, 0.0529, 0.3347, 0.2884),
        (0.418, 0.0415, 0.3388, 0.2757),
        (0.502, 0.0261, 0.3557, 0.3167),
        (0.553, 0.0208, 0.3483, 0.2954),
        (0.681, 0.0085, 0.3836, 0.2950),
        (0.750, 0.0053, 0.3611, 0.2937),
        (0.916, 0.0019, 0.3609, 0.2831),
        (0.937, 0.0018, 0.3485, 0.2846),
        (1.122, 0.0006, 0.3698, 0.2899),
    ]
)


def problem() -> ocdl.ControlProblem:
    def dynamics(x, p):
        D = (p[1] + p[4]) * x[0] + x[1]
        return [
            -(2 * p[1] - p[0] * x[1] / D + p[2] + p[3]) * x[0],
            p[0] * x[0] * (p[1] * x[0] - x[1]) / D + p[2] * x[0],
            p[0] * x[0] * (x[1] + p[4] * x[0]) / D + p[3] * x[0],
        ]

    return ocdl.ControlProblem(
        states=["oxygenates", "olefins", "others"],
        controls=0,
        parameters=["θ1", "θ2", "θ3", "θ4", "θ5"],
        dynamics=dynamics,
        initial=[1.0, 0.0, 0.0],
        horizon=DATA[-1, 0],
        bounds=ocdl.Box(p=(0, np.inf)),
        measurements=ocdl.Measurements(times=DATA[:, 0], values=DATA[:, 1:]),
    )


def grid(layers: int = 40) -> ocdl.DepthScheme:
    return ocdl.through(ocdl.Radau(layers=layers, degree=5), problem())


def start() -> dict[str, object]:
    return {"p": np.ones(5)}


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(tolerance=1e-10)]
