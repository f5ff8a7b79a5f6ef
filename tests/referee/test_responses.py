"""The responses of dense layers in numbers: those of the formulas, and only where z is the lift."""

import casadi as ca
import numpy as np
import pytest
from families import activations, name_of

import ocdl
from ocdl.referee.dense import dense


def layers(dynamics):
    """ẋ = φ(x, z, p), z = W x + b, two samples of three states."""
    return ocdl.ControlProblem(
        lift=lambda x, u: ca.reshape(u[:9], 3, 3) @ x + u[9:],
        dynamics=dynamics,
        terminal=lambda x: ca.sumsqr(x),
        initial=np.ones((2, 3)),
        horizon=1.0,
        controls=12,
        parameters=3,
        columnwise=True,
    )


def forms(sigma):
    return {
        "plain": lambda z: sigma(z),
        "scaled": lambda z: 1.5 * sigma(z),
        "contracting": lambda x, z: sigma(z) - 0.5 * x,
        "trained": lambda x, z, p: p[0] * sigma(z) + p[1] * x + p,
        "mixed": lambda x, z: sigma(z) + ca.DM([[0, 1, 0], [-1, 0, 2], [0, -2, 0]]) @ x,
    }


@pytest.mark.parametrize("sigma", activations(), ids=name_of)
def test_they_are_those_of_the_formulas(sigma):
    generator = np.random.default_rng(0)
    x, z, p = generator.normal(size=(4, 5, 3)), 2.0 * generator.normal(size=(4, 5, 3)), generator.normal(size=3)
    for name, dynamics in forms(sigma).items():
        law = dense(layers(dynamics))
        assert law is not None
        if law._numeric is None:  # σ is another function there, or z: factors were drawn into it
            assert isinstance(sigma, (ocdl.Sigmoid, ocdl.Identity)) and name != "plain"
            continue
        numeric = law.responses(x, p, z)
        law._numeric = None
        for one, other in zip(numeric, law.responses(x, p, z), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-14, err_msg=name)
        assert len(law.responses(x, p, z, 1)) == 2


@pytest.mark.parametrize(
    "dynamics",
    [
        lambda z: np.tanh(2.0 * z),
        lambda z: np.tanh(z + 0.1),
        lambda z: np.tanh(z) * ca.DM([1, 2, 3]),
        lambda x, z: np.tanh(z) * x,
        lambda z: np.tanh(z) + z,  # S depends on the controls
    ],
)
def test_where_z_is_another_casadi_stays(dynamics):
    law = dense(layers(dynamics))
    assert law is not None and law._numeric is None
