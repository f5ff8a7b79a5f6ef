"""Delta III: the steering that brings the most mass into a transfer orbit, with boosters dropped on the way.

r' = v,  v' = −μ r/|r|³ + (F_k/m) u − ½ ρ |w| C A w/m,  m' = −(propellant burnt a second in phase k),
w = v − ω × r,  ρ = ρ_0 e^{−(|r| − R)/H},  |u| = 1,  |r| ≥ R,  J = −m(T).

Nine solid boosters, six of them lit at lift-off and three when those are dropped, around a first stage, then a second
one: phase k ends at 75.2 s, 150.4 s, 261 s, and where the orbit is reached. Position and velocity are the same on both
sides of every staging, the mass without what was dropped. The orbit has a = 24361.14 km, e = 0.7308, i = 28.5°,
Ω = 269.8°, argument of perigee 130.5°, as five equations: h = r × v of its three components, and the vector of
eccentricity, v × h/μ − r/|r|, along perigee and across.
Units: the earth's radius, the mass at lift-off, and the time in which μ = 1. The final mass is 7529.712 kg.
Source: Betts, Practical Methods for Optimal Control and Estimation Using Nonlinear Programming, 2nd ed. (2010),
example 6.15; Benson, A Gauss Pseudospectral Transcription for Optimal Control (2005), section 6.
"""

from typing import Any

import casadi as ca
import numpy as np

import ocdl

GRAVITY, RADIUS, SPIN = 3.986012e14, 6378145.0, 7.29211585e-5  # m³/s², m, 1/s
DENSITY, HEIGHT, DRAG_AREA = 1.225, 7200.0, 0.5 * 4 * np.pi  # kg/m³, m, m²
THRUST = {"booster": 628500.0, "first": 1083100.0, "second": 110094.0}  # N
BURNT = {"booster": 17010.0, "first": 95550.0, "second": 16820.0}  # kg of propellant
WHOLE = {"booster": 19290.0, "first": 104380.0, "second": 19300.0}  # kg
BURN = {"booster": 75.2, "first": 261.0, "second": 700.0}  # s
PAYLOAD = 4164.0  # kg
LIT = {
    "six": {"booster": 6, "first": 1},
    "three": {"booster": 3, "first": 1},
    "core": {"first": 1},
    "upper": {"second": 1},
}
ENDS = {"six": 75.2, "three": 150.4, "core": 261.0}  # s
DROPPED = {  # before each phase, kg
    "three": 6 * (WHOLE["booster"] - BURNT["booster"]),
    "core": 3 * (WHOLE["booster"] - BURNT["booster"]),
    "upper": WHOLE["first"] - BURNT["first"],
}
MASS = 9 * WHOLE["booster"] + WHOLE["first"] + WHOLE["second"] + PAYLOAD
TIME = np.sqrt(RADIUS**3 / GRAVITY)
FORCE = MASS * RADIUS / TIME**2
LATITUDE = np.radians(28.5)
ORBIT = {"a": 24361140.0 / RADIUS, "e": 0.7308, "i": np.radians(28.5), "node": np.radians(269.8)}
ORBIT["perigee"] = np.radians(130.5)
REFERENCE = -7529.712287 / MASS  # as it is printed for yapss 0.1; GPOPS-II prints 7529.712
DIGITS = 1e-8
COARSE = 4  # layers of each phase from which refine begins


def axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors of the orbit: to perigee, across it in the plane, and normal to the plane."""
    node, perigee, i = ORBIT["node"], ORBIT["perigee"], ORBIT["i"]
    to_node = np.array([np.cos(node), np.sin(node), 0.0])
    normal = np.array([np.sin(i) * np.sin(node), -np.sin(i) * np.cos(node), np.cos(i)])
    to_perigee = np.cos(perigee) * to_node + np.sin(perigee) * np.cross(normal, to_node)
    return to_perigee, np.cross(normal, to_perigee), normal


def off_orbit(x: ca.SX) -> ca.SX:
    r, v = x[:3], x[3:6]
    h = ca.cross(r, v)
    eccentricity = ca.cross(v, h) - r / ca.norm_2(r)
    along, across, normal = axes()
    size = np.sqrt(ORBIT["a"] * (1 - ORBIT["e"] ** 2))
    return ca.vertcat(h - size * normal, ca.dot(eccentricity, along) - ORBIT["e"], ca.dot(eccentricity, across))


def dynamics(name: str) -> Any:
    force = sum(count * THRUST[engine] for engine, count in LIT[name].items()) / FORCE
    flow = sum(count * BURNT[engine] / BURN[engine] for engine, count in LIT[name].items()) * TIME / MASS

    def rate(x: ca.SX, u: ca.SX) -> ca.SX:
        r, v, m = x[:3], x[3:6], x[6]
        distance = ca.norm_2(r)
        wind = v - SPIN * TIME * ca.vertcat(-r[1], r[0], 0)
        density = DENSITY * RADIUS**3 / MASS * ca.exp((1 - distance) * RADIUS / HEIGHT)
        drag = 0.5 * density * ca.sqrt(ca.sumsqr(wind) + 1e-30) * DRAG_AREA / RADIUS**2 * wind
        return ca.vertcat(v, -r / distance**3 + (force * u - drag) / m, -flow)

    return rate


def phase(name: str, **given: Any) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["rx", "ry", "rz", "vx", "vy", "vz", "m"],
        controls=["ux", "uy", "uz"],
        dynamics=dynamics(name),
        path=lambda x, u: [ca.sumsqr(u) - 1, ca.sumsqr(x[:3]) - 1],
        bounds=ocdl.Box(
            x=([-2.0] * 6 + [PAYLOAD / MASS], [2.0] * 6 + [1.0]), u=(-1.1, 1.1), path=([0, 0], [0, np.inf])
        ),
        **given,
    )


def dropping(kg: float) -> Any:
    return lambda x: ca.vertcat(x[:6], x[6] - kg / MASS)


def problem() -> ocdl.Phases:
    place = np.array([np.cos(LATITUDE), 0.0, np.sin(LATITUDE)])
    start = [*place, 0.0, SPIN * TIME * place[0], 0.0, 1.0]
    times = np.array([0.0, *ENDS.values()]) / TIME
    free = [ocdl.Free()] * 7
    return ocdl.Phases(
        {
            "six": phase("six", initial=start, horizon=times[1] - times[0]),
            "three": phase("three", initial=free, horizon=times[2] - times[1]),
            "core": phase("core", initial=free, horizon=times[3] - times[2]),
            "upper": phase(
                "upper",
                initial=free,
                horizon=ocdl.Free(100 / TIME, BURN["second"] / TIME, guess=600 / TIME),
                terminal=lambda x: -x[6],
                boundary=lambda xT: off_orbit(xT),
            ),
        },
        jumps={name: dropping(kg) for name, kg in DROPPED.items()},
    )


def grid(layers: int = 5) -> ocdl.DepthScheme:
    return ocdl.Radau(layers=layers, degree=4, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]


def start() -> dict[str, Any]:
    """Halfway between up and east all the way."""
    steering = np.array([np.cos(LATITUDE), 1.0, np.sin(LATITUDE)]) / np.sqrt(2)
    return {name: {"u": steering} for name in LIT}
