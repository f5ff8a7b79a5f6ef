"""Slopes of activations are where they are proven to be."""

import numpy as np
import pytest
from families import SoftSign, activations, name_of

import ocdl
from ocdl.analysis.conditioning.slopes import secant_range, slope_range

PROVEN = [a for a in activations() if not isinstance(a, ocdl.CustomActivation)]


@pytest.mark.parametrize("activation", PROVEN, ids=name_of)
def test_secants_lie_in_their_range_and_come_near_its_ends(activation):
    rng = np.random.default_rng(0)
    centre, radius = np.r_[0.0, 0.0, rng.normal(0, 2, 60)], np.r_[1e-12, 1.0, np.exp(rng.uniform(-20, 2, 60))]
    low, high = secant_range(activation, centre, radius)
    z = centre + radius * np.linspace(-1.0, 1.0, 2000)[:, None]
    secants = (activation(z) - activation(centre)) / (z - centre)
    error = 1e-15 * (1.0 + np.abs(activation(z))) / np.abs(z - centre)
    assert np.all(secants >= low - error) and np.all(secants <= high + error)
    least, largest = slope_range(activation)
    assert np.all(low >= least - 1e-12) and np.all(high <= largest + 1e-12)


def test_secants_vary_less_than_slopes():
    low, high = secant_range(ocdl.Tanh(), np.array([1.0]), np.array([0.5]))
    slopes = 1.0 - np.tanh([0.5, 1.5]) ** 2
    assert high[0] - low[0] < 0.6 * (slopes[0] - slopes[1])


@pytest.mark.parametrize("bound", [slope_range, lambda sigma: secant_range(sigma, np.zeros(1), np.ones(1))])
def test_slopes_of_a_users_own_activation_are_not_known(bound):
    with pytest.raises(ocdl.NotSupported, match="turn only at 0"):
        bound(ocdl.CustomActivation(SoftSign(), increasing=True, bounds=(-1.0, 1.0)))
