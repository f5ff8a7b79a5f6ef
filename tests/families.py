"""The members of a family, found by walking its subclasses, and small problems that every test may use."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import casadi as ca
import numpy as np

import ocdl
from ocdl.depth.schemes import DepthScheme
from ocdl.statement.activations import CustomActivation
from ocdl.statement.width import IntervalRule

DEGREES = (1, 2, 3, 4, 5)


class SoftSign:
    """s / √(1 + s²), a user's own activation with the same name in every process."""

    def __call__(self, s: Any) -> Any:
        return s / np.sqrt(1.0 + s**2)

    def __repr__(self) -> str:
        return "SoftSign"


def concrete(base: type, method: str) -> list[type]:
    """Every class of ocdl below ``base`` that defines ``method`` itself or inherits it from one that does."""

    def below(parent: type) -> Iterator[type]:
        for child in parent.__subclasses__():
            yield child
            yield from below(child)

    return [
        cls
        for cls in dict.fromkeys(below(base))
        if cls.__module__.startswith("ocdl.") and getattr(cls, method) is not getattr(base, method)
    ]


def schemes(layers: Any = 4, degrees: tuple[int, ...] = DEGREES) -> list[DepthScheme]:
    """Every depth scheme found, at every degree where it has one."""
    found: list[DepthScheme] = []
    for cls in concrete(DepthScheme, "tableau"):
        if "degree" in {f.name for f in fields(cls)}:
            found += [cls(layers=layers, degree=degree) for degree in degrees]
        else:
            found.append(cls(layers=layers))
    assert len(found) >= 5 + 2 * len(degrees)
    return found


def script(folder: str, name: str) -> ModuleType:
    """The module of that name in a folder of scripts beside the package, which is no package."""
    path = Path(__file__).parents[1] / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def module(name: str) -> ModuleType:
    """The module of problems/ of that name."""
    return script("problems", name)


def name_of(member: Any) -> str:
    """A test id: the class, with its degree where it has one."""
    return type(member).__name__ + str(getattr(member, "degree", ""))


def rules() -> list[type[IntervalRule]]:
    """Every width rule on an interval found."""
    found = concrete(IntervalRule, "reference")
    assert len(found) >= 4
    return found


def activations() -> list[ocdl.Activation]:
    """Every activation found, at its defaults and at other values of its parameters."""
    own = CustomActivation(SoftSign(), increasing=True, bounds=(-1.0, 1.0))
    stated = [cls for cls in concrete(ocdl.Activation, "formula") if cls.__module__.startswith("ocdl.statement.")]
    found = [own if cls is CustomActivation else cls() for cls in stated]
    assert len(found) >= 8
    return [*found, ocdl.LeakyReLU(slope=0.0), ocdl.LeakyReLU(slope=0.7), ocdl.ELU(alpha=0.3)]


def selection(**changes: Any) -> ocdl.SelectionProblem:
    """A one-sample selection problem, by default the sine profile steered beyond its reach."""
    return ocdl.SelectionProblem(
        **{
            "activation": ocdl.Tanh(),
            "horizon": 1.0,
            "initial": lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
            "target": lambda y: 3 * np.cos(2 * np.pi * y),
            "bounds": ocdl.Box(a=(-1, 1), b=(-1, 1)),
        }
        | changes
    )


def scalar(**changes: Any) -> ocdl.ControlProblem:
    """ẋ = u − x, one state and one control."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda x, u: u - x,
            "initial": [0.5],
            "horizon": 1.0,
            "terminal": lambda x: x[0] ** 2,
            "bounds": ocdl.Box(u=(-1, 1)),
        }
        | changes
    )


def rich(samples: int) -> ocdl.ControlProblem:
    """Everything at once: lift, time, parameters, data, running cost, effort, penalty, sample weights."""
    generator = np.random.default_rng(samples)
    return ocdl.ControlProblem(
        lift=lambda t, x, u, d: ca.vertcat(u[0] * x[0] + 0.5 * x[1] + d[0], u[1] - x[0] * ca.cos(t)),
        dynamics=lambda t, x, p, z: [np.tanh(z[0]) + p[0] * x[1], np.sin(z[1]) - 0.3 * x[1] + p[1] * t],
        running=lambda t, x, u, p, d, z: 0.3 * x[0] ** 2 + u[0] * x[1] + 0.1 * p[1] * z[0] * d[1] + 0.2 * t * x[1],
        effort=lambda t, u, p: (1 + t) * ca.sumsqr(u) + p[0] * u[1],
        penalty=lambda p: 0.7 * ca.sumsqr(p),
        terminal=lambda x, p, d: ca.exp(0.3 * x[0]) * d[1] + (x[1] - p[0]) ** 2,
        initial=generator.standard_normal((samples, 2)),
        data=generator.standard_normal((samples, 2)),
        weights=generator.uniform(0.5, 2.0, samples),
        horizon=1.3,
        controls=2,
        parameters=2,
        bounds=ocdl.Box(u=(-3, 3), p=(-3, 3)),
    )


def order(errors: list[float], ratio: float = 2.0) -> float:
    """The observed order from errors on meshes refined by ``ratio``, on the finest pair."""
    return float(np.log(errors[-2] / errors[-1]) / np.log(ratio))
