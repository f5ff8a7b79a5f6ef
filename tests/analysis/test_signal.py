"""Signals of random networks: exact expectations, fixed points and slopes, the critical line, and what networks do."""

import numpy as np
import pytest
import scipy
from families import activations, name_of

import ocdl
from ocdl.analysis import SignalTheory, critical, phase_diagram
from ocdl.analysis.ensembles.gaussian import expectation, pair_expectation

RELU = ocdl.ReLU()


def test_moments_are_exact():
    assert expectation(lambda h: h**6, 2.0) == pytest.approx(15 * 8, rel=1e-13)
    c = 0.3
    assert pair_expectation(np.square, np.square, 1.5, c) == pytest.approx(2.25 * (1 + 2 * c * c), rel=1e-13)


@pytest.mark.parametrize("c", [-1.0, -0.4, 0.0, 0.7, 0.999, 1.0])
def test_relu_has_its_arc_cosine_kernel(c):
    """E (u₁)₊ (u₂)₊ = (sin γ + (π − γ) cos γ) / 2π, Cho and Saul (2009)."""
    gamma = np.arccos(c)
    exact = (np.sin(gamma) + (np.pi - gamma) * c) / (2 * np.pi)
    assert pair_expectation(RELU, RELU, 1.0, c) == pytest.approx(exact, abs=1e-14)


@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_expectations_are_those_of_an_adaptive_quadrature(activation):
    def density(z):
        return float(activation(np.array(1.3 * z))) ** 2 * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)

    parts = [scipy.integrate.quad(density, *ends, epsabs=1e-12)[0] for ends in ((-12, 0), (0, 12))]
    assert expectation(lambda h: activation(h) ** 2, 1.69) == pytest.approx(sum(parts), rel=1e-10)
    assert pair_expectation(activation, activation, 1.69, 1.0) == pytest.approx(sum(parts), rel=1e-9)


@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_slopes_at_fixed_points_are_those_of_the_maps(activation):
    theory = SignalTheory(activation, 0.9, 0.1)
    h = 1e-5
    in_q = (theory.length(theory.q + h) - theory.length(theory.q - h)) / (2 * h)
    assert theory.length(theory.q) == pytest.approx(theory.q, rel=1e-12)
    assert theory.chi_q == pytest.approx(in_q, abs=1e-8)
    inner = SignalTheory(activation, theory.weight_variance, theory.bias_variance)
    c = 0.5
    in_c = (inner.covariance(theory.q, c + h) - inner.covariance(theory.q, c - h)) / (2 * h * theory.q)
    slopes = theory.weight_variance * pair_expectation(theory._slope, theory._slope, theory.q, c)
    assert slopes == pytest.approx(in_c, abs=1e-8)


@pytest.mark.parametrize("bias_variance", [0.05, 0.3])
def test_the_critical_line_of_tanh(bias_variance):
    """Against nested adaptive quadrature; with some sixty Gauss–Hermite nodes σ_w² at 0.3 still is off by 2e-5."""

    def gauss(f):
        parts = scipy.integrate.quad(lambda z: f(z) * np.exp(-0.5 * z * z), 0, 12, epsabs=1e-13, limit=200)
        return 2 * parts[0] / np.sqrt(2 * np.pi)

    def weight(q):
        return 1 / gauss(lambda z: np.cosh(np.sqrt(q) * z) ** -4)

    q = scipy.optimize.brentq(
        lambda q: q - weight(q) * gauss(lambda z: np.tanh(np.sqrt(q) * z) ** 2) - bias_variance, 0.1, 5
    )
    found = critical(ocdl.Tanh(), bias_variance)
    assert found.q == pytest.approx(q, rel=1e-9)
    assert found.weight_variance == pytest.approx(weight(q), rel=1e-9)
    assert found.phase == "critical" and np.isinf(found.depth_c)
    if bias_variance == 0.05:  # Schoenholz et al. (2017): 1.76
        assert (found.weight_variance, found.q) == pytest.approx((1.76095464, 0.57004788), abs=5e-9)


def test_phases_beside_the_line():
    line = critical(ocdl.Tanh(), 0.05)
    ordered, chaotic = (SignalTheory(ocdl.Tanh(), f * line.weight_variance, 0.05) for f in (0.8, 1.3))
    assert (ordered.phase, chaotic.phase) == ("ordered", "chaotic")
    assert ordered.c == 1.0 and 0.0 < chaotic.c < 1.0
    for theory in (ordered, chaotic):
        off = np.abs(theory.correlations(0.6, 200) - theory.c)
        late = off[(off < 1e-3) & (off > 1e-10)]
        rate = np.log(late[:-1] / late[1:])
        assert rate[-1] == pytest.approx(1 / theory.depth_c, rel=1e-3)
    diagram = phase_diagram(ocdl.Tanh(), [1.0, 2.5], [0.05, 0.5])
    assert (diagram.chi > 1).tolist() == [[False, False], [True, False]]


def test_relu_is_critical_at_two_and_without_biases_alone():
    line = critical(RELU)
    assert line.weight_variance == pytest.approx(2.0, rel=1e-12) and line.phase == "critical"
    assert SignalTheory(RELU, 1.5, 0.2).q == pytest.approx(0.2 / (1 - 0.75), rel=1e-12)
    unbounded = SignalTheory(RELU, 2.5, 0.1)
    assert unbounded.phase == "unbounded"
    with pytest.raises(ocdl.InvalidInput, match="without end"):
        _ = unbounded.chi_1
    with pytest.raises(ocdl.InvalidInput, match="bias_variance"):
        critical(RELU, 0.05)


def test_wide_random_networks_do_as_the_theory_says():
    theory, n, layers = SignalTheory(ocdl.Tanh(), 2.0, 0.1), 1500, 6
    start = theory.draw(n, layers, seed=3)
    x = np.random.default_rng(0).standard_normal((2, n))
    x[1] = 0.8 * x[0] + 0.6 * x[1]
    q = [theory.weight_variance * float(x[0] @ x[0]) / n + theory.bias_variance]
    lengths = []
    for K, beta in zip(start["K"], start["beta"], strict=True):
        h = x @ K.T + beta
        lengths.append(float(h[0] @ h[0]) / n)
        x = np.tanh(h)
    assert lengths == pytest.approx(theory.lengths(q[0], layers - 1).tolist(), rel=4 * np.sqrt(2 / n))


def test_draws_start_a_solve_and_are_reproducible():
    data = np.random.default_rng(0).standard_normal((8, 2))
    problem = ocdl.network(
        ocdl.Plain(ocdl.Tanh()),
        data,
        (data[:, 0] > 0).astype(float),
        channels=5,
        horizon=3,
        regulariser=ocdl.Tikhonov(1e-3),
    )
    theory = critical(ocdl.Tanh(), 0.05)
    start = theory.draw(5, 3, inputs=2, seed=4)
    assert all(np.array_equal(start[name], theory.draw(5, 3, inputs=2, seed=4)[name]) for name in start)
    solution = ocdl.solve(problem, ocdl.ExplicitEuler(3), ocdl.LBFGS(), start=start, certificate="first order")
    assert solution.status.name == "CONVERGED"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: SignalTheory(np.tanh, 1.0), "ocdl.Tanh"),
        (lambda: SignalTheory(ocdl.Tanh(), 0.0), "weight_variance=0.0"),
        (lambda: SignalTheory(ocdl.Tanh(), 1.0, -0.1), "bias_variance=-0.1"),
        (lambda: SignalTheory(ocdl.Tanh(), 1.0).lengths(1.0, 0), "layers=0"),
        (lambda: SignalTheory(ocdl.Tanh(), 1.0).draw(4, 2, inputs=5), "inputs=5"),
        (lambda: critical(ocdl.Tanh(), np.nan), "bias_variance"),
    ],
)
def test_wrong_questions_are_told_off(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong()
