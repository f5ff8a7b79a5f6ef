"""Dense layers by matrix products: the same Hamiltonian as column by column, and only where the layers are dense."""

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pmp_problems import family, linear_quadratic, network, start

import ocdl
from ocdl.pmp.iterate import Ground
from ocdl.pmp.updates.needles import layer_columns
from ocdl.pmp.updates.proximal_column import held_minimum, one_column
from ocdl.referee.dense import dense
from ocdl.referee.separated import SeparatedHamiltonian


def affine(**changes):
    """ẋ = tanh(W x + b + e + E x) − ½ x, five samples."""
    generator = np.random.default_rng(0)
    e, E = generator.normal(size=3), generator.normal(size=(3, 3))
    return ocdl.ControlProblem(
        **{
            "lift": lambda x, u: ca.reshape(u[:9], 3, 3) @ x + u[9:] + e + E @ x,
            "dynamics": lambda x, z: np.tanh(z) - 0.5 * x,
            "terminal": lambda x, d: ca.sumsqr(x - d),
            "initial": generator.normal(size=(5, 3)),
            "data": generator.normal(size=(5, 3)),
            "horizon": 1.0,
            "controls": 12,
            "columnwise": True,
        }
        | changes
    )


@given(
    seed=st.integers(0, 999),
    kind=st.sampled_from(["network", "affine"]),
    depth=st.sampled_from([ocdl.ExplicitEuler(3), ocdl.Kutta4(2), ocdl.ImplicitMidpoint(5)]),
)
@settings(max_examples=10)
def test_value_gradient_and_hessian_are_those_of_the_columns(seed, kind, depth):
    problem = network().discretise(ocdl.Midpoint(4)) if kind == "network" else affine()
    begin = start(problem, depth, seed)
    iterate = Ground(problem, depth).at(begin.u, begin.p)
    law = dense(problem)
    assert law is not None
    np.testing.assert_array_equal(law.groups, SeparatedHamiltonian(problem).groups)
    np.testing.assert_array_equal(law.owner, SeparatedHamiltonian(problem).owner)
    columns = layer_columns(iterate)
    other = (*columns[:4], start(problem, depth, seed + 1).u, columns[5])
    now, then = (h.derivatives(*columns) for h in (law, SeparatedHamiltonian(problem)))
    for a, b in zip(law.derivatives(*other), SeparatedHamiltonian(problem).derivatives(*other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(now[0], then[0], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "changes",
    [
        {"columnwise": False},
        {"lift": None, "dynamics": lambda x, u: np.tanh(ca.reshape(u[:9], 3, 3) @ x + u[9:])},
        {"lift": lambda x, u: ca.reshape(u[:9], 3, 3) @ x**2 + u[9:]},  # features not affine in x
        {"lift": lambda x, u: (ca.reshape(u[:9], 3, 3) @ x + u[9:]) ** 2},
        {"lift": lambda x, u: ca.DM([1, 2, 3]) * (ca.reshape(u[:9], 3, 3) @ x + u[9:])},  # each its own features
        {"lift": lambda x, u: u[:3] @ x[0, :] + u[3:6] + u[6:9] @ x[1, :] + ca.repmat(u[0] * x[2, :], 3, 1)},  # shared
        {"dynamics": lambda x, z: ca.vertcat(z[1, :], z[0, :], z[2, :])},
        {"running": lambda x, u: u[0] ** 2},
        {"effort": lambda u: u[0] * u[1]},  # two neurons meet
    ],
)
def test_other_layers_are_told_apart(changes):
    assert dense(affine(**changes)) is None


def test_one_control_in_two_neurons_is_told_apart():
    assert dense(linear_quadratic()) is None
    assert dense(replace(affine(), columnwise=True)) is not None


@given(seed=st.integers(0, 999), size=st.sampled_from([1e-2, 1.0, 1e2]))
@settings(max_examples=10)
def test_one_column_with_a_hold_is_minimised_along_a_line(seed, size):
    """No worse than projected Newton from many starts, and what it claims to gain is what it gains."""
    problem, depth = family("mixed").discretise(ocdl.Midpoint(3)), ocdl.ExplicitEuler(4)
    begin = start(problem, depth, seed)
    iterate = Ground(problem, depth).at(begin.u, begin.p)
    columns, hold = layer_columns(iterate), size * np.asarray(problem.control_metric)
    law = dense(problem)
    assert one_column(law, columns[1])
    gains, u = held_minimum(law, columns[1], columns[2], columns[4], columns[5], hold)
    searched, _ = SeparatedHamiltonian(problem).minimum(*columns, hold=hold, starts=4)
    assert np.all(gains >= searched - 1e-13)
    low, high = problem.control_box
    assert np.all((u >= low) & (u <= high))
    before, after = (law.derivatives(*columns[:4], w, columns[5])[0] for w in (columns[4], u))
    held = np.sum((hold * (u - columns[4]) ** 2)[:, law.groups], axis=-1)
    np.testing.assert_allclose(before - after - held, gains, atol=1e-14)
