"""Minimum time to climb: a fighter reaches 65,600 ft at Mach 1, its thrust, drag and air known by tables.

h' = v sin γ,  v' = (T cos α − D)/m − g sin γ,  γ' = (T sin α + L)/(m v) − g cos γ/v,  m' = −T/(g I),
q = ½ ρ(h) v², L = q S c_α(M) α, D = q S (c₀(M) + η(M) c_α(M) α²), T = T(M, h), M = v/c(h),
S = 530 ft², I = 1600 s, g = 32.174 ft/s²,  |α| ≤ 45°, |γ| ≤ 40°, 0 ≤ h ≤ 69,000 ft,
(0 ft, 424.26 ft/s, 0, 42,000/g slug) → (65,600 ft, 968.148 ft/s, 0, ·),  J = T_f, the time.

States in 10⁴ ft, 10³ ft/s, rad, 10³ slug; α in tenths of a rad. The thrust is tabulated at 61 of 100 pairs of Mach
number and altitude: a radial basis function fills the table, as the example of YAPSS does, which prints 320.456 s;
splines that fill it otherwise give from 318 to 325 s.
Source: Bryson, Desai and Hoffman, J. Aircraft 6 (1969), for the tables; U.S. Standard Atmosphere 1976.
"""

import math

import casadi as ca
import numpy as np
from scipy.interpolate import CubicSpline, RBFInterpolator

import ocdl

WING, GRAVITY, IMPULSE = 530.0, 32.174, 1600.0
REFERENCE = 320.458774  # refined to 1e-6
DIGITS = 1e-4
PUBLISHED, PUBLISHED_DIGITS = 320.456, 3e-3
COARSE = None  # refinement takes a dozen seconds

MACH = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8])
ALTITUDE = np.array([0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 70.0])  # 1000 ft
THRUST = """
24.2    .    .    .    .    .    .    .    .    .
28.0 24.6 21.1 18.1 15.2 12.8 10.7    .    .    .
28.3 25.2 21.9 18.7 15.9 13.4 11.2  7.3  4.4    .
30.8 27.2 23.8 20.5 17.3 14.7 12.3  8.1  4.9    .
34.5 30.3 26.6 23.2 19.8 16.8 14.1  9.4  5.6  1.1
37.9 34.3 30.4 26.8 23.3 19.8 16.8 11.2  6.8  1.4
36.1 38.0 34.9 31.3 27.3 23.6 20.1 13.4  8.3  1.7
   . 36.6 38.5 36.1 31.6 28.1 24.2 16.2 10.0  2.2
   .    .    . 38.7 35.7 32.0 28.1 19.3 11.9  2.9
   .    .    .    .    . 34.6 31.1 21.7 13.3  3.1
"""  # 1000 lbf, a row a Mach number
HEIGHTS = np.arange(0.0, 95.0, 5.0)  # 1000 ft
DENSITY = [2.377e-3, 2.048e-3, 1.756e-3, 1.496e-3, 1.267e-3, 1.066e-3, 8.907e-4, 7.382e-4, 5.873e-4, 4.623e-4]
DENSITY += [3.639e-4, 2.865e-4, 2.256e-4, 1.777e-4, 1.392e-4, 1.091e-4, 8.571e-5, 6.743e-5, 5.315e-5]  # slug/ft³
SOUND = [1116.5, 1097.1, 1077.4, 1057.4, 1036.9, 1016.1, 994.8, 973.1, *[968.1] * 6, 970.9, 974.3, 977.6, 981.0, 984.3]
LIFT = {0.4: 3.44, 0.8: 3.44, 0.84: 3.44, 0.9: 3.58, 1.0: 4.44, 1.2: 3.44, 1.4: 3.01, 1.6: 2.86, 1.8: 2.44}
DRAG = {0.4: 0.013, 0.8: 0.013, 0.86: 0.013, 0.9: 0.014, 1.0: 0.031, 1.2: 0.041, 1.4: 0.039, 1.6: 0.036, 1.8: 0.035}
INDUCED = {0.4: 0.54, 0.8: 0.54, 0.9: 0.74, 1.0: 0.79, 1.2: 0.78, 1.4: 0.89, 1.6: 0.93, 1.8: 0.93}
BESIDE = 1e-5  # Mach numbers from a point of a table to one that prescribes the slope there


def spline(at: list[float], values: list[float], name: str) -> ocdl.Table:
    """A cubic spline on 400 points of its own."""
    points = np.linspace(at[0], at[-1], 400)
    return ocdl.Table(points, CubicSpline(at, values)(points), kind="bspline", name=name)


def coefficient(values: dict[float, float], slopes: dict[float, float], name: str) -> ocdl.Table:
    """A spline in the Mach number, level below 0.4, with ``slopes`` before (< 0) or behind some of its points."""
    known = {0.0: values[0.4], **values}
    for at, slope in slopes.items():
        away = math.copysign(BESIDE, at)
        known[abs(at) + away] = values[abs(at)] + slope * away
    return spline(sorted(known), [known[mach] for mach in sorted(known)], name)


def thrust() -> ocdl.Table:
    rows = [line.split() for line in THRUST.strip().splitlines()]
    known = [(i, j) for i, row in enumerate(rows) for j, entry in enumerate(row) if entry != "."]
    places = np.array([(MACH[i] / 1.8, ALTITUDE[j] / 70.0) for i, j in known])
    filled = RBFInterpolator(places, [float(rows[i][j]) for i, j in known], kernel="cubic")
    mach, altitude = np.linspace(0.0, 1.8, 73), np.linspace(0.0, 70.0, 71)
    mesh = np.stack(np.meshgrid(mach / 1.8, altitude / 70.0, indexing="ij"), axis=-1)
    values = filled(mesh.reshape(-1, 2)).reshape(mach.size, altitude.size)
    return ocdl.Table((mach, altitude), values, kind="bspline", name="thrust")


def problem() -> ocdl.ControlProblem:
    density = spline(list(HEIGHTS), DENSITY, "density")
    sound = spline(list(HEIGHTS), SOUND, "sound")
    slope = coefficient(LIFT, {-0.84: 0.0}, "lift")
    rest = coefficient(DRAG, {-0.86: 0.0}, "drag")
    induced = coefficient(INDUCED, {-0.8: 0.0, 1.0: -0.1, -1.2: -0.1, 1.6: 0.0, -1.8: 0.0}, "induced drag")
    force = thrust()

    def dynamics(h: ca.SX, v: ca.SX, gamma: ca.SX, m: ca.SX, alpha: ca.SX) -> list[ca.SX]:
        height, speed, mass, attack = 10 * h, 1e3 * v, 1e3 * m, 0.1 * alpha
        mach = speed / sound(height)
        push = 1e3 * force(mach, height)
        pressure = 0.5 * density(height) * speed**2 * WING
        lift = pressure * slope(mach) * attack
        drag = pressure * (rest(mach) + induced(mach) * slope(mach) * attack**2)
        return [
            speed * ca.sin(gamma) / 1e4,
            ((push * ca.cos(attack) - drag) / mass - GRAVITY * ca.sin(gamma)) / 1e3,
            (push * ca.sin(attack) + lift) / (mass * speed) - GRAVITY * ca.cos(gamma) / speed,
            -push / (GRAVITY * IMPULSE) / 1e3,
        ]

    steep = 40 * math.pi / 180
    return ocdl.ControlProblem(
        states=["h", "v", "gamma", "m"],
        controls=["alpha"],
        units={"h": "10⁴ ft", "v": "10³ ft/s", "gamma": "rad", "m": "10³ slug", "alpha": "0.1 rad"},
        dynamics=dynamics,
        initial={"h": 0.0, "v": 0.42426, "gamma": 0.0, "m": 42.0 / GRAVITY},
        final={"h": 6.56, "v": 0.968148, "gamma": 0.0},
        horizon=ocdl.Free(100.0, 800.0, guess=300.0),
        terminal=lambda t: t,
        bounds=ocdl.Box(
            alpha=(-10 * math.pi / 4, 10 * math.pi / 4),
            x=([0.0, 0.001, -steep, 0.01], [6.9, 2.0, steep, 45.0 / GRAVITY]),
        ),
    )


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=30, degree=4, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
