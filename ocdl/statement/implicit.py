"""Implicit: algebraic variables that equations define, not a formula: a semi-explicit DAE of index 1.

    ẋ = φ(t, x, u, p, d, z),   0 = g(t, x, u, p, d, z),   ∂g/∂z regular.

As the lift of a problem this is z = Z(t, x, u, p, d), found by Newton's method from a guess, with the derivatives of
the implicit function theorem; every route and the referee then see an ordinary problem. The direct route imposes g = 0
as rows of its own, with z among its variables.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import finite_array, is_whole, shown
from ocdl.callables import called
from ocdl.errors import InvalidInput
from ocdl.once import Built

SOLVED = 1e-9  # of 1 + the largest term: a larger residual of g is no solution, and z is NaN
SINGULAR = 1e-12  # a reciprocal condition number of ∂g/∂z below it at every point tried: index above 1
POINTS = 5
STEPS = 50  # of Newton's method


class Implicit:
    """Algebraic variables z (q,) by equations, to be given as ``lift=ocdl.Implicit(g, unknowns=q)``.

    equations: g, a function of z and of those it needs of ``t, x, u, p, d`` that returns q expressions, zero at z.
    unknowns: q.
    guess: where Newton's method begins: numbers, one or (q,), or a function of some of ``t, x, u, p, d`` that returns
        q expressions. Where there are several roots it says which is meant.

    Raises InvalidInput for equations that are not q, and where ∂g/∂z is singular whatever the values: the index is then
    above 1. Where no root is found z is not a number, which no route takes for an answer.
    """

    def __init__(self, equations: Callable[..., Any], *, unknowns: int = 1, guess: Any = 0.0) -> None:
        if not callable(equations):
            raise InvalidInput(f"Implicit({shown(equations)}): give a function such as lambda x, z: z**3 + z - x.")
        if not is_whole(unknowns) or unknowns < 1:
            raise InvalidInput(f"Implicit(unknowns={shown(unknowns)}): a whole number, at least 1, is needed.")
        self.equations, self.unknowns = equations, int(unknowns)
        self.guess = guess if callable(guess) else self._numbers(guess)
        names = _names(equations)
        if "z" not in names:
            raise InvalidInput("Implicit(...): its equations are a function of z and others, such as lambda x, z: ....")
        guessed = _names(guess) if callable(guess) else []
        self.names = [*(name for name in names if name != "z"), *(name for name in guessed if name not in names)]
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in self.names]
        self.__signature__ = inspect.Signature(parameters)
        self._built = Built()

    def _numbers(self, guess: Any) -> Any:
        values = finite_array("Implicit(guess=...)", guess)
        if values.shape not in ((), (self.unknowns,)):
            raise InvalidInput(f"Implicit(guess=...): one number or {self.unknowns} are needed; got {shown(values)}.")
        return np.broadcast_to(values, (self.unknowns,))

    def __call__(self, **given: Any) -> Any:
        """Z at CasADi values of what g needs: NaN where no root is found."""
        sizes = {name: int(value.numel()) for name, value in given.items()}
        solver = self._built.of(tuple(sizes.items()), lambda: self._solver(sizes))
        return solver(*given.values())

    def _solver(self, sizes: dict[str, int]) -> ca.Function:
        """Z as a function of ``sizes`` numbers by name."""
        symbols = {name: ca.SX.sym(name, size) for name, size in sizes.items()}
        z, packed = ca.SX.sym("z", self.unknowns), ca.vertcat(*symbols.values())
        residual = self._column("equations", self.equations, symbols | {"z": z})
        slope = ca.jacobian(residual, z)
        _check_index(residual, slope, z, packed)
        options = {"error_on_fail": False, "show_eval_warnings": False, "max_iter": STEPS, "abstol": 1e-14}
        newton = ca.rootfinder("implicit", "newton", {"x": z, "p": packed, "g": residual}, options)
        begin = ca.Function("begin", [packed], [self._begin(symbols)])
        size = ca.Function("size", [z, packed], [ca.sumsqr(residual) / (1.0 + ca.sumsqr(z)), ca.sumsqr(slope)])
        given = [ca.SX.sym(name, count) for name, count in sizes.items()]
        at = ca.vertcat(*given)
        root = newton(begin(at), at)
        missed, scale = size(root, at)
        # the logarithm of what is left of the tolerance: nothing beside z, and NaN where there is nothing left
        lost = 1e-300 * ca.log(SOLVED**2 * (1.0 + scale) - missed)
        return ca.Function("Z", given, [root + lost], list(sizes), ["z"])

    def _begin(self, symbols: dict[str, ca.SX]) -> ca.SX:
        if not callable(self.guess):
            return ca.SX(self.guess)
        return self._column("guess", self.guess, {name: symbols[name] for name in _names(self.guess)})

    def _column(self, what: str, function: Callable[..., Any], arguments: dict[str, Any]) -> ca.SX:
        lengths = ", ".join(f"{name} of length {value.numel()}" for name, value in arguments.items())
        value = called(f"Implicit({what}=...)", lengths, function, **arguments)
        column = ca.vertcat(*value) if isinstance(value, (list, tuple)) else ca.SX(value)
        if column.shape != (self.unknowns, 1):
            raise InvalidInput(
                f"Implicit({what}=...): {self.unknowns} expression(s), one an unknown, are needed; got {column.shape}."
            )
        return ca.densify(column)


def _names(function: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:
        raise InvalidInput(
            f"Implicit({function!r}): it does not tell its argument names; wrap it in a lambda."
        ) from None


def _check_index(residual: ca.SX, slope: ca.SX, z: ca.SX, packed: ca.SX) -> None:
    """Raise InvalidInput where ∂g/∂z is singular by its pattern, or at all of some random points."""
    pattern, points = ca.sprank(slope), np.random.default_rng(0).uniform(0.1, 1.0, (POINTS, z.numel() + packed.numel()))
    run = ca.Function("slope", [ca.vertcat(z, packed)], [ca.densify(slope)])
    conditions = [1.0 / np.linalg.cond(values) for point in points if np.all(np.isfinite(values := run(point).full()))]
    if pattern < z.numel() or (conditions and max(conditions) < SINGULAR):
        raise InvalidInput(
            f"Implicit(...): the {residual.numel()} equation(s) do not determine z, as their derivative in z is "
            "singular: the index is above 1. Put in place of those that constrain states alone their derivatives along "
            "ẋ = φ, until z is in them."
        )
