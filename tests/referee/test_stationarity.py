"""The projected gradient in function space, against closed forms, differences of J, and itself on other grids."""

import numpy as np
import pytest
from families import name_of, rich, scalar, schemes

import ocdl
from ocdl.depth.control_shapes import ControlShape
from ocdl.sweeps.sweeper import Sweeper

SHAPES = [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()]


def judged(problem, depth, u, p=()):
    return ocdl.certify(problem, depth, u, np.asarray(p, dtype=float), first_order=True)


def energy(metric=1.0):
    """x' = u, J = x(1) + ½ ∫ u²: in function space ∇J = 1 + u, whatever the layers."""
    return scalar(
        dynamics=lambda u: [u[0]],
        terminal=lambda x: x[0],
        effort=lambda u: 0.5 * u[0] ** 2,
        control_metric=[metric],
        bounds=ocdl.Box(u=(-3, 3)),
    )


@pytest.mark.parametrize("widths", [4, 9, (0.1, 0.2, 0.7)])
def test_the_norm_is_one_of_functions(widths):
    depth = ocdl.ExplicitEuler(widths)
    found = judged(energy(), depth, np.full((depth.count, 1), 0.5)).stationarity
    assert found.norm == pytest.approx(1.5, rel=1e-13) and found.gain == pytest.approx(1.5**2, rel=1e-13)


def test_the_step_ends_at_the_bounds():
    depth = ocdl.ExplicitEuler(5)
    found = judged(energy(), depth, np.full((5, 1), 3.0)).stationarity
    assert found.norm == pytest.approx(4.0) and found.gain == pytest.approx(16.0)  # to −1
    held = judged(scalar(terminal=lambda x: 10.0 * x[0]), depth, np.full((5, 1), -1.0)).stationarity
    assert held.norm == held.gain == 0.0


def test_at_a_minimum_nothing_is_gained():
    depth = ocdl.ExplicitEuler(5)
    assert judged(energy(), depth, np.full((5, 1), -1.0)).stationarity.norm < 1e-14


@pytest.mark.parametrize("scheme", schemes(degrees=(1, 3)), ids=name_of)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_the_gain_is_the_slope_of_the_cost_along_the_step(scheme, shape):
    depth = type(scheme)(**{**vars(scheme), "controls": shape})
    problem, generator = rich(3), np.random.default_rng(2)
    if not shape.suits(depth.tableau.c):
        return
    u, p = generator.uniform(-2, 2, (depth.control_rows, 2)), generator.uniform(-2, 2, 2)
    verdict, sweeper = judged(problem, depth, u, p), Sweeper(problem, depth)
    measure = shape.measure(sweeper.h, depth.tableau.b, depth.tableau.c)[:, None]
    assert measure.sum() == pytest.approx(problem.span)
    slope = np.divide(verdict.adjoint.gradient_u, measure, out=np.zeros_like(u), where=measure > 0.0)
    du, dp = np.clip(u - slope, -3, 3) - u, np.clip(p - verdict.adjoint.gradient_p, -3, 3) - p
    e = 1e-6
    ahead, behind = (sweeper.integral(u + s * e * du, p + s * e * dp)[1] for s in (1.0, -1.0))
    found = verdict.stationarity
    assert found.gain == pytest.approx((behind - ahead) / (2 * e), rel=1e-6) and found.gain >= found.norm**2


def test_every_shape_is_tried():
    assert {type(shape) for shape in SHAPES} >= {c for c in ControlShape.__subclasses__() if c.__name__ in dir(ocdl)}


def test_nothing_is_searched(monkeypatch):
    monkeypatch.setattr("ocdl.referee.certify.stage_excess", lambda *args, **how: pytest.fail("searched"))
    verdict = judged(rich(2), ocdl.Kutta4(3), np.zeros((3, 2)), np.zeros(2))
    assert verdict.search == "first order" and np.isnan(verdict.gap) and np.isnan(verdict.excess).all()
    assert not verdict.gap_is_exact and np.isfinite(verdict.cost) and np.isfinite(verdict.hamiltonian).all()
