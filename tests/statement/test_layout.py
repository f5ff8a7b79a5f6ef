"""Layout: flat vectors and their names."""

import numpy as np
import pytest
from families import rich, selection
from hypothesis import given
from hypothesis import strategies as st

import ocdl


@given(M=st.integers(1, 5), N=st.integers(1, 4), seed=st.integers(0, 99))
def test_pack_and_unpack_are_inverse(M, N, seed):
    problem = selection().discretise(ocdl.Midpoint(M))
    g = np.random.default_rng(seed)
    a, b = g.normal(size=(N, M)), g.normal(size=(N, M, M))
    u = problem.pack(a=a, b=b)
    assert u.shape == (N, problem.m)
    named = problem.unpack(u)
    np.testing.assert_array_equal(named["a"], a)
    np.testing.assert_array_equal(named["b"], b)
    np.testing.assert_array_equal(problem.unpack(u[0])["b"], b[0])


def test_labels_carry_coordinates():
    problem = rich(2)
    part = problem.layout.controls[0]
    labelled = problem.layout.label(part, np.zeros((3, 2)), {"t": np.arange(3)}, role="control")
    assert labelled.dims == ("t", "control") and list(labelled["control"].values) == ["u0", "u1"]
    assert labelled.attrs["role"] == "control"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"a": np.zeros((2, 3))}, ["missing ['b']"]),
        ({"a": np.zeros((2, 3)), "b": np.zeros((2, 3, 3)), "c": 0}, ["unknown ['c']"]),
        ({"a": np.zeros((2, 4)), "b": np.zeros((2, 3, 3))}, ["a: shape (2, 3)", "dimensions t, y", "got (2, 4)"]),
        ({"a": [["x"] * 3] * 2, "b": np.zeros((2, 3, 3))}, ["a:", "text"]),
        ({}, ["nothing given", "missing ['a', 'b']"]),
    ],
)
def test_wrong_parts_are_named(parts, said):
    problem = selection().discretise(ocdl.Midpoint(3))
    with pytest.raises(ocdl.InvalidInput) as caught:
        problem.pack(**parts)
    assert all(part in str(caught.value) for part in said), str(caught.value)
