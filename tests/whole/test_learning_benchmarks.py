"""The sides of benchmarks/learning train the same networks: what they race with has the same cost and gradient."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import ocdl
from ocdl.sweeps.reduced import ReducedCost

FOLDER = Path(__file__).parents[2] / "benchmarks" / "learning"
SIDES = {"in_numpy": "numpy", "in_ocdl": "ocdl", "in_torch": "torch", "in_jax": "jax"}  # what each needs


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripts of the folder can be imported, and leave nothing behind."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in set(sys.modules) - before:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def networks(network: ModuleType) -> list:
    example, _ = network.example(samples=7, width=3, layers=4)
    return [example, replace(example, weight=0.0), replace(network.sine(samples=6), layers=3)]


def point(network) -> np.ndarray:
    return 0.7 * np.random.default_rng(3).standard_normal(network.size)


def answers(side: ModuleType, network, w: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """Cost and gradient of every way the side has."""
    if side.__name__ == "in_ocdl":
        yield ReducedCost(side.problem(network), ocdl.ExplicitEuler(network.layers)).value_and_gradient(w)
    elif side.__name__ == "in_torch":
        yield from (
            (value.item(), slope.numpy())
            for value, slope in (way(side.torch.from_numpy(w)) for way in side.ways(network, compiled=False).values())
        )
    elif side.__name__ == "in_jax":
        yield from ((float(value), np.asarray(slope)) for value, slope in (f(w) for f in side.ways(network).values()))
    else:
        yield _by_complex_steps(network, w)


def _by_complex_steps(network, w: np.ndarray) -> tuple[float, np.ndarray]:
    """J, and its gradient by complex steps: the formulas are analytic."""
    h = 1e-30j
    steps = [_value(network, w + h * unit) for unit in np.eye(w.size)]
    return _value(network, w).real, np.imag(steps) / 1e-30


def _value(network, w: np.ndarray) -> complex:
    """J from its formula, one sample as a row."""
    n, P, x = network.width, network.parameters, network.inputs.astype(complex)
    for u in w[P:].reshape(network.layers, -1):
        x = x + network.step * np.tanh(x @ u[: n * n].reshape(n, n).T + u[n * n :])
    if network.head:
        loss = 0.5 * np.mean((1 / (1 + np.exp(-(x @ w[:n] + w[n]))) - network.labels) ** 2)
    else:
        loss = np.mean((x.sum(axis=1) - network.labels) ** 2)
    return loss + 0.5 * network.weight * (np.sum(w[:P] ** 2) + network.step * np.sum(w[P:] ** 2))


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize("name", SIDES)
def test_each_side_has_the_cost_and_gradient_of_the_adjoint_by_hand(name: str) -> None:
    pytest.importorskip(SIDES[name])
    side = importlib.import_module(name)
    for network in networks(importlib.import_module("network")):
        w = point(network)
        cost, gradient = network.value_and_gradient(w)
        for other, slope in answers(side, network, w):
            assert other == pytest.approx(cost, rel=1e-13, abs=1e-13)
            np.testing.assert_allclose(slope, gradient, rtol=1e-11, atol=1e-13)


@pytest.mark.usefixtures("scripts")
def test_the_sines_residuals_are_its_cost_and_gradient() -> None:
    network = importlib.import_module("network").sine(samples=6)
    w = point(network)
    (cost, gradient), (rho, jacobian) = network.value_and_gradient(w), network.residuals(w)
    assert rho @ rho == pytest.approx(cost, rel=1e-13)
    np.testing.assert_allclose(2 * jacobian.T @ rho, gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.usefixtures("scripts")
def test_an_iterate_is_judged_by_the_gradient_that_points_into_the_box() -> None:
    network, race = importlib.import_module("network"), importlib.import_module("race")
    example, _ = network.example(samples=7, width=3, layers=4)
    w = np.clip(point(example), -0.1, 0.1)
    _, gradient = example.value_and_gradient(w)
    outward = ((w == 0.1) & (gradient <= 0)) | ((w == -0.1) & (gradient >= 0))
    assert outward.any() and not outward.all()
    inward = np.where(outward, 0.0, gradient)
    assert race.measure(example, w, 0.1)[1] == pytest.approx(np.abs(inward).max(), rel=1e-12)
    assert race.measure(example, w, np.inf)[1] == pytest.approx(np.abs(gradient).max(), rel=1e-12)


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize("name", ["ocdl", "torch"])
def test_the_sides_train_the_network_by_which_digits_are_judged(name: str) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip(name)
    digits, side = importlib.import_module("digits"), importlib.import_module(f"digits_in_{name}")
    task = digits.Task.drawn((0, 3, 8), 12, 0)
    given = task.train.inputs.tolist(), task.train.labels.tolist(), digits.WEIGHT
    expected = digits.cost(task.start, task.train.inputs, task.train.labels)
    if name == "torch":
        parts = {name: side.torch.tensor(part) for name, part in task.start.items()}
        assert side.cost(*given)(parts).item() == pytest.approx(expected, rel=1e-13)
        return
    cost = ReducedCost(side.problem(*given), ocdl.ExplicitEuler(digits.LAYERS))
    flat = {name: part.reshape(len(part), -1) for name, part in task.start.items()}
    w = cost.join(np.hstack([flat["K"], flat["beta"]]), np.append(flat["W"].ravel(), flat["mu"].ravel()))
    assert cost.value(w) == pytest.approx(expected, rel=1e-13)


@pytest.mark.usefixtures("scripts")
def test_our_side_of_the_digits_answers_with_what_it_trained() -> None:
    pytest.importorskip("sklearn")
    digits, side = importlib.import_module("digits"), importlib.import_module("digits_in_ocdl")
    task = digits.Task.drawn((0, 8), 10, 0)
    job = task.job("LBFGS", limit=60.0)
    job.pop("what")
    J, seen, unseen, _ = digits.judged(task, side.digits(**job))
    assert 0.01 * digits.cost(task.start, task.train.inputs, task.train.labels) > J
    assert seen == 1.0 and unseen > 0.8
