"""Every architecture found: its layer against NumPy, its gradient against differences, and that it learns."""

import casadi as ca
import numpy as np
import pytest
from families import activations, concrete, name_of

import ocdl
from ocdl.sweeps.reduced import ReducedCost

RNG = np.random.default_rng(3)
INPUTS = RNG.standard_normal((8, 2))
LABELS = np.where(INPUTS[:, 0] * INPUTS[:, 1] > 0, 1.0, 0.0)
LAYERS = 3

SIZED = {  # those that need to know sizes
    ocdl.Convolutional: ocdl.Convolutional(image=(1, 3)),
    ocdl.Chain: ocdl.Chain((ocdl.FullyConnected(4), ocdl.Skip(ocdl.Residual(), 0.5), ocdl.FullyConnected(2)), inputs=3),
}
ARCHITECTURES = [SIZED[cls] if cls in SIZED else cls() for cls in concrete(ocdl.Architecture, "parts")]
ARCHITECTURES += [ocdl.Residual(ocdl.Sigmoid(), kernel=cls()) for cls in concrete(ocdl.Kernel, "matrix")]
ARCHITECTURES += [
    *(ocdl.ODENet(steps=steps) for steps in ("non-negative", "simplex")),
    ocdl.Antisymmetric(damping=0.3),
    ocdl.Contractive(width=5),
    ocdl.Leapfrog(ocdl.Sigmoid(), step=0.5),
    ocdl.Plain(ocdl.Arctan(), kernel=ocdl.LowRankKernel(2)),
    ocdl.Residual(kernel=ocdl.GramKernel(rank=2)),
    ocdl.Convolutional(image=(3, 1), pool=1, size=5),
]
every = pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: name_of(a))


def stated(architecture, **changes):
    """A classifier on three channels."""
    options = {"horizon": LAYERS if architecture.discrete else 1.5, "regulariser": ocdl.Tikhonov(1e-3)}
    return ocdl.network(architecture, INPUTS, LABELS, **(options | {"channels": 3} | changes))


def kernel_of(u, n):
    """K from whichever controls it is made of."""
    if "K" in u:
        return u["K"]
    if "k" in u:
        upper = np.zeros((n, n))
        upper[np.triu_indices(n)] = u["k"]
        return upper + upper.T - np.diag(np.diag(upper))
    if "G" in u:
        A = np.zeros((n, n))
        A[np.triu_indices(n, 1)] = u["A"]
        return -(u["G"].T @ u["G"] + A - A.T)
    if "M" in u:
        return u["M"] / np.sqrt(1.0 + np.sum(u["M"] ** 2))
    if "b" in u:
        return np.array([[u["b"][i - j + n - 1] for j in range(n)] for i in range(n)])
    return u["U"] @ u["V"].T if "U" in u else u["B"].T @ u["B"]


def chained(architecture, k, x, u):
    """Step k of the chain."""
    widths, sigma = architecture.widths, np.tanh
    u = architecture.controls_of(np.tile(u["u"], (LAYERS, 1)))[k]
    seen = x[: widths[k]]
    value = sigma(u["K"] @ seen + u["beta"])
    value = seen + 0.5 * value if k == 1 else value
    return np.pad(value, (0, x.size - value.size)) - x


def step_of(architecture, x, u, k=0):
    """The layer k by hand, for one sample x (n,): its rate, or what it adds."""
    kind = type(architecture)
    if kind is ocdl.Chain:
        return chained(architecture, k, x, u)
    sigma = architecture.activation
    if kind is ocdl.Convolutional:  # one channel in one line of pixels
        weights = u["K"][0, 0]
        weights = weights[weights.shape[0] // 2] if architecture.image[0] == 1 else weights[:, weights.shape[1] // 2]
        return sigma(np.convolve(np.pad(x, weights.size // 2), weights[::-1], mode="valid") + u["beta"])
    if kind is ocdl.Contractive:
        return u["B"].T @ sigma(u["a"] - u["B"] @ x)
    if kind is ocdl.Antisymmetric:
        return sigma((u["K"] - u["K"].T - architecture.damping * np.eye(x.size)) @ x + u["beta"])
    if isinstance(architecture, ocdl.Hamiltonian):
        y, z = np.split(x, 2)
        h = architecture.step if kind is ocdl.Leapfrog else 1.0
        rise = h * sigma(u["K"] @ z + u["beta"])
        seen = y + rise if kind is ocdl.Leapfrog else y
        return np.concatenate([rise, -h * sigma(u["K"].T @ seen + u["beta"])])
    value = sigma(kernel_of(u, x.size) @ x + u["beta"])
    return {ocdl.Plain: lambda: value - x, ocdl.Residual: lambda: value, ocdl.ODENet: lambda: u["alpha"] * value}[
        kind
    ]()


def drawn(problem, seed=0):
    """w inside the bounds, and its cost."""
    reduced = ReducedCost(problem, ocdl.ExplicitEuler(LAYERS))
    low, high = reduced.bounds
    return reduced, np.clip(np.random.default_rng(seed).normal(0.2, 0.6, reduced.size), low, high)


def test_the_family_is_found():
    assert len(concrete(ocdl.Architecture, "parts")) >= 9 and len(concrete(ocdl.Kernel, "matrix")) >= 7
    assert {type(step) for step in SIZED[ocdl.Chain].steps} <= set(concrete(ocdl.Step, "value"))


@every
def test_the_layer_is_its_formula_alone_and_as_one_of_many_columns(architecture):
    problem = stated(architecture)
    assert problem.columnwise != architecture.by_depth and problem.discrete == architecture.discrete
    x, u = RNG.standard_normal(problem.n), RNG.standard_normal(problem.m)
    rate = problem.rate(0.0, x, u, np.zeros(problem.P), 0.0).full().ravel()
    named = problem.layout.unpack(problem.layout.controls, u)
    np.testing.assert_allclose(rate, step_of(architecture, x, named), rtol=1e-13, atol=1e-13)


@every
def test_cost_and_gradient_are_those_of_the_layers_by_hand_and_of_differences(architecture):
    reduced, w = drawn(stated(architecture))
    problem = reduced.problem
    u, p = reduced.split(w)
    h = problem.span / LAYERS
    named = problem.layout.unpack(problem.layout.controls, u)
    head = problem.layout.unpack(problem.layout.parameters, p)
    cost = 0.5e-3 * (h * np.sum(u**2) + np.sum(p**2))
    for x, label in zip(problem.x0, LABELS, strict=True):
        for k in range(LAYERS):
            x = x + h * step_of(architecture, x, {name: values[k] for name, values in named.items()}, k)
        output = head["W"] @ x[: head["W"].shape[1]] + head["mu"]
        cost += 0.5 * np.sum((1.0 / (1.0 + np.exp(-output)) - label) ** 2) / len(LABELS)
    found, gradient = reduced.value_and_gradient(w)
    assert found == pytest.approx(cost, rel=1e-12)
    along = np.random.default_rng(1).standard_normal(w.size)
    difference = (reduced.value(w + 1e-5 * along) - reduced.value(w - 1e-5 * along)) / 2e-5
    assert gradient @ along == pytest.approx(difference, rel=1e-6)


@every
@pytest.mark.parametrize("tied", [False, True])
def test_it_learns(architecture, tied):
    if tied and (architecture.budgets(1.0) or architecture.by_depth):
        pytest.skip("refuses tied controls")
    problem = stated(architecture, tied=tied)
    reduced, w = drawn(problem)
    u, p = reduced.split(w)
    layout = problem.layout
    start = layout.unpack(layout.controls, u) | layout.unpack(layout.parameters, p)
    gradients = ocdl.LBFGSB(gap="gradient", max_iterations=1, round_iterations=20)
    method = ocdl.Ipopt(max_iterations=20) if problem.budgets else gradients
    solution = ocdl.solve(problem, reduced.depth, method, start=start, on_failure="return")
    assert solution.cost < 0.9 * reduced.value(w)
    for name in start:
        assert solution[name].shape == np.shape(start[name])


@pytest.mark.parametrize("sigma", [s for s in activations() if s.increasing], ids=lambda s: type(s).__name__)
def test_samples_of_a_contractive_network_never_part(sigma):
    problem = stated(ocdl.Contractive(sigma, width=4))
    rate = problem.rate.map(50)
    f, g = RNG.standard_normal((2, 3, 50))
    u = RNG.standard_normal((problem.m, 50))
    apart = [rate(0.0, x, u, np.zeros((problem.P, 1)), 0.0).full() for x in (f, g)]
    assert np.all(np.sum((f - g) * (apart[0] - apart[1]), axis=0) < 1e-14)


def test_matrices_of_an_antisymmetric_network_have_eigenvalues_of_real_part_minus_gamma():
    problem = stated(ocdl.Antisymmetric(ocdl.Identity(), damping=0.3))
    x, u = ca.SX.sym("x", 3), RNG.standard_normal(problem.m)
    jacobian = ca.Function("J", [x], [ca.jacobian(problem.rate(0.0, x, u, np.zeros(problem.P), 0.0), x)])
    np.testing.assert_allclose(np.linalg.eigvals(jacobian(np.zeros(3)).full()).real, -0.3, atol=1e-14)


def test_steps_of_leapfrog_keep_areas():
    problem = stated(ocdl.Leapfrog(step=0.7), channels=2)
    x, u = ca.SX.sym("x", 4), RNG.standard_normal(problem.m)
    step = ca.Function("J", [x], [ca.jacobian(x + problem.rate(0.0, x, u, np.zeros(problem.P), 0.0), x)])
    assert np.linalg.det(step(RNG.standard_normal(4)).full()) == pytest.approx(1.0, rel=1e-13)
