"""The recogniser: the form it claims is the problem's own rate, at any point, and impostors have none."""

import casadi as ca
import numpy as np
import pytest
from families import activations

import ocdl
from ocdl.statement.activations import Identity
from ocdl.sweeps.fused import coefficients, pattern
from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.pattern import Expression
from ocdl.sweeps.fused.recognise import dense_form

N, S = 3, 4  # width, samples of a point
ROWS = 3  # layers


def square(v, n=N):
    return ca.reshape(v[: n * n], n, n).T


def problem(dynamics, lift=None, *, controls, parameters=0, n=N, **more):
    return ocdl.ControlProblem(
        dynamics=dynamics,
        lift=lift,
        initial=np.zeros(n),
        controls=controls,
        parameters=parameters,
        **{"horizon": 1.0, **more},
    )


def spelled(pre, outer, *, lifted=True, **more):
    """φ = outer(z, x, u, p), z = pre(x, u, p), with a lift and without."""
    if lifted:
        return problem(lambda x, u, p, z: outer(z, x, u, p), lambda x, u, p: pre(x, u, p), **more)
    return problem(lambda x, u, p: outer(pre(x, u, p), x, u, p), **more)


def affine(x, u, p):
    return square(u) @ x + u[N * N : N * N + N]


def antisymmetric(x, u, p):
    K = square(u)
    return (K - K.T - 0.3 * ca.SX.eye(N)) @ x + u[N * N : N * N + N]


def symmetric(x, u, p):
    return (square(u) + square(u).T) @ x


def convolution(x, u, p):
    return ca.vertcat(*(sum(u[i - j + 1] * x[j] for j in range(N) if -1 <= i - j <= 1) for i in range(N))) + u[3]


def low_rank(x, u, p):
    return u[:N] @ (u[N : 2 * N].T @ x)


def positive(x, u, p):
    return u[2 * N] - square(u).T @ (square(u) @ x)


def tied(x, u, p):
    return square(p) @ x + u[:N]


def tied_positive(x, u, p):
    return square(p).T @ (square(p) @ x)


M = N * N + N
FORMS = {  # of σ: pre-activation, rate, sizes, and what has to be said of V, S, r: None, 0 for a factor, 2 a matrix
    "residual": (affine, lambda f: lambda z, x, u, p: f(z), {"controls": M}, (None, None, None)),
    "plain": (affine, lambda f: lambda z, x, u, p: f(z) - x, {"controls": M}, (None, 0, None)),
    "scaled": (affine, lambda f: lambda z, x, u, p: u[M] * f(z), {"controls": M + 1}, (0, None, None)),
    "antisymmetric": (antisymmetric, lambda f: lambda z, x, u, p: f(z), {"controls": M}, (None, None, None)),
    "symmetric": (symmetric, lambda f: lambda z, x, u, p: f(z) + u[:N], {"controls": M}, (None, None, 1)),
    "convolution": (convolution, lambda f: lambda z, x, u, p: f(z), {"controls": 4}, (None, None, None)),
    "contractive": (
        lambda x, u, p: u[N * N : M] - square(u) @ x,
        lambda f: lambda z, x, u, p: square(u).T @ f(z),
        {"controls": M},
        (2, None, None),
    ),
    "linear part": (affine, lambda f: lambda z, x, u, p: f(z) + square(u) @ x, {"controls": M}, (None, 2, None)),
    "low rank": (low_rank, lambda f: lambda z, x, u, p: f(z), {"controls": 2 * N}, (None, None, None)),
    "positive": (positive, lambda f: lambda z, x, u, p: u[0] * f(z) + u[1] ** 2, {"controls": M}, (0, None, 1)),
    "tied": (tied, lambda f: lambda z, x, u, p: f(z) - p[0] * x, {"controls": N, "parameters": M}, (None, 0, None)),
    "tied alone": (
        tied_positive,
        lambda f: lambda z, x, u, p: f(z) * p[-1],
        {"controls": 0, "parameters": M},
        (0, None, None),
    ),
    "tied affine alone": (
        lambda x, u, p: square(p) @ x,
        lambda f: lambda z, x, u, p: f(z),
        {"controls": 0, "parameters": M},
        (None, None, None),
    ),
    "no controls": (
        lambda x, u, p: 0.5 * x[::-1] + 1.0,
        lambda f: lambda z, x, u, p: f(z) + 2.0,
        {"controls": 0},
        (None, None, 1),
    ),
    "free horizon": (
        affine,
        lambda f: lambda z, x, u, p: f(z) - x,
        {"controls": M, "horizon": ocdl.Free(0.5, 2.0), "t0": ocdl.Free(-1.0, 1.0)},
        (0, 0, None),
    ),
    "free horizon, scaled": (
        affine,
        lambda f: lambda z, x, u, p: u[0] * f(z),
        {"controls": M, "horizon": ocdl.Free(0.5, 2.0)},
        (0, None, None),
    ),
    "few neurons": (
        lambda x, u, p: u[0] * x[0] + u[1],
        lambda f: lambda z, x, u, p: ca.vertcat(x[1:], f(z) - u[2] * x[0]),
        {"controls": 3},
        (2, 2, None),
    ),
}
SAID = {None: None, 0: 1, 1: 2, 2: 3}  # dimensions of the arrays


def points(stated, rows=ROWS, seed=0):
    draw = np.random.default_rng(seed)
    return (
        draw.standard_normal((rows, stated.m)),
        draw.uniform(0.5, 1.5, stated.P),
        draw.standard_normal((rows, S, stated.n)),
    )


def claimed(form, arrays, x):
    """V σ(W x + v) + S x + r, of x (Q, S, n)."""
    W, v, V, skip, r = arrays
    y = np.asarray(form.activation(x @ W.swapaxes(1, 2) + v[:, None]))
    if V is not None:
        y = y * V[:, None, None] if V.ndim == 1 else y @ V.swapaxes(1, 2)
    if skip is not None:
        y = y + (x * skip[:, None, None] if skip.ndim == 1 else x @ skip.swapaxes(1, 2))
    return y if r is None else y + r[:, None]


def check_rate(stated, form=None):
    """The claimed form is φ at random points."""
    form = form or dense_form(stated)
    assert form is not None
    u, p, x = points(stated)
    found = claimed(form, form.coefficients.arrays(u, p), x)
    wanted = np.array(
        [
            [stated.rate(0.3, state, row, p, 0.7).full().ravel() for state in states]
            for states, row in zip(x, u, strict=True)
        ]
    )
    assert found == pytest.approx(wanted, rel=1e-13, abs=1e-13)
    return form


def dot(one, other):
    return sum(np.sum(a * b) for a, b in zip(one, other, strict=True) if a is not None)


def check_derivatives(stated, form):
    """Θ' against differences of Θ, its transpose and Θ'' against Θ'."""
    theta, draw = form.coefficients, np.random.default_rng(1)
    u, p, _ = points(stated)
    du, dp = draw.standard_normal(u.shape), draw.standard_normal(p.shape)
    arrays, tangent = theta.arrays(u, p), theta.tangent(u, p, du, dp)
    assert [a is None for a in arrays] == [a is None for a in tangent]
    assert all(a is None or a.shape == b.shape for a, b in zip(arrays, tangent, strict=True))
    eps = 1e-5
    ahead, behind = (theta.arrays(u + h * du, p + h * dp) for h in (eps, -eps))
    for a, b, slope in zip(ahead, behind, tangent, strict=True):
        assert slope is None or (a - b) / (2 * eps) == pytest.approx(slope, rel=1e-8, abs=1e-8)
    slopes = LayerArrays(*(None if a is None else draw.standard_normal(a.shape) for a in arrays))
    by_u, by_p = theta.pulled_back(u, p, slopes)
    assert by_u.shape == u.shape and by_p.shape == p.shape
    assert np.sum(by_u * du) + by_p @ dp == pytest.approx(dot(slopes, tangent), rel=1e-12, abs=1e-12)
    curved = theta.curved(u, p, slopes, du, dp)
    ahead, behind = (theta.pulled_back(u + h * du, p + h * dp, slopes) for h in (eps, -eps))
    for a, b, product in zip(ahead, behind, curved, strict=True):
        assert (a - b) / (2 * eps) == pytest.approx(product, rel=1e-7, abs=1e-7)
    assert not theta.linear or not (np.any(curved[0]) or np.any(curved[1]))


@pytest.mark.parametrize("lifted", [True, False])
@pytest.mark.parametrize("name", FORMS)
def test_forms(name, lifted):
    pre, outer, sizes, said = FORMS[name]
    stated = spelled(pre, outer(np.tanh), lifted=lifted, **sizes)
    form = check_rate(stated)
    arrays = form.coefficients.arrays(*points(stated)[:2])
    assert isinstance(form.activation, ocdl.Tanh)
    assert arrays.W.shape == (ROWS, form.k, N) and arrays.v.shape == (ROWS, form.k)
    assert [a if a is None else a.ndim for a in arrays[2:]] == [SAID[what] for what in said]
    check_derivatives(stated, form)


@pytest.mark.parametrize("lifted", [True, False])
@pytest.mark.parametrize("sigma", activations(), ids=repr)
def test_every_activation(sigma, lifted):
    for name in ("residual", "plain", "contractive"):
        pre, outer, sizes, _ = FORMS[name]
        form = check_rate(spelled(pre, outer(sigma), lifted=lifted, **sizes))
        own = isinstance(sigma, ocdl.CustomActivation)
        known = "ReLU()" if sigma == ocdl.LeakyReLU(slope=0.0) else repr(sigma)
        assert isinstance(form.activation, Expression) if own else repr(form.activation) == known


class Bent(ocdl.Activation):
    """A user's own."""

    smooth = False

    def formula(self, s):
        return np.fmax(s, 0.0) ** 2 - 0.1 * s


OTHERS = {  # no member of the family, and still a function of one pre-activation
    "nearly tanh": lambda z: np.tanh(z) + 1e-9 * z**3,
    "tanh on a box": lambda z: ca.if_else(ca.fabs(z) < 10.0, np.tanh(z), z),
    "twice": lambda z: np.tanh(np.tanh(z)),
    "swish": lambda z: z / (1.0 + np.exp(-z)),
    "softplus": lambda z: np.fmax(z, 0.0) + np.log1p(np.exp(-np.fabs(z))),
    "steep": lambda z: np.fmax(z, 1.5 * z),
    "step": lambda z: z * (z > 0.0),
    "subclass": Bent(),
}


@pytest.mark.parametrize("lifted", [True, False])
@pytest.mark.parametrize("name", OTHERS)
def test_other_functions_are_taken_as_they_are(name, lifted):
    form = check_rate(spelled(affine, lambda z, x, u, p: OTHERS[name](z) - x, lifted=lifted, controls=M))
    assert isinstance(form.activation, Expression)
    assert "s" in repr(form.activation)
    assert form.activation.smooth == (name in ("nearly tanh", "twice", "swish"))
    s = ca.SX.sym("s")
    values = np.linspace(-20.0, 20.0, 41).reshape(1, -1)
    by_casadi = ca.Function("sigma", [s], [form.activation(s)])(values).full()
    assert form.activation(values) == pytest.approx(by_casadi, rel=1e-14)


def test_spellings_of_one_activation():
    def written_twice(x, u, p):
        return np.fmax(affine(x, u, p), 0.2 * affine(x, u, p))

    def reversed_(x, u, p):
        return 1.0 + ca.fmax(0.2 * (z := affine(x, u, p)), z)

    for formula in (written_twice, reversed_):
        form = check_rate(problem(formula, controls=M, parameters=0))
        assert form.activation == ocdl.LeakyReLU(slope=0.2)
    scaled = check_rate(problem(lambda x, u: ocdl.Sigmoid()(2.0 * affine(x, u, None)), controls=M))
    assert np.all(scaled.activation.limits == np.array([-1.0, 1.0])) or isinstance(scaled.activation, ocdl.Sigmoid)
    gated = check_rate(problem(lambda x, u: np.tanh(affine(x, u, None)) + np.tanh(u[0]) * x, controls=M))
    assert isinstance(gated.activation, ocdl.Tanh)


def test_linear_plants_have_the_identity():
    stated = problem(lambda x, u: square(u) @ x + u[:N] - 1.0, controls=M)
    form = check_rate(stated)
    assert isinstance(form.activation, Identity)
    check_derivatives(stated, form)


def tanh(x, u):
    return np.tanh(affine(x, u, None))


IMPOSTORS = {
    "of time": {"dynamics": lambda t, x, u: np.tanh(affine(x, u, None) + t)},
    "of time, outside": {"dynamics": lambda t, x, u: tanh(x, u) * t},
    "of data": {"dynamics": lambda x, u, d: np.tanh(affine(x, u, None) + d[0]), "data": [[1.0]]},
    "of data, in the lift": {
        "dynamics": lambda z: np.tanh(z),
        "lift": lambda x, u, d: affine(x, u, None) + d[0],
        "data": [[1.0]],
    },
    "gated by the state": {"dynamics": lambda x, u: x * tanh(x, u)},
    "mixed": {
        "dynamics": lambda x, u: ca.vertcat(tanh(x, u)[:2], np.fmax(affine(x, u, None)[2], 0.0)),
    },
    "mixed slopes": {
        "dynamics": lambda x, u: ca.vertcat(
            *(ocdl.LeakyReLU(slope=0.1 * (i + 1))(affine(x, u, None)[i]) for i in range(N))
        )
    },
    "two layers": {"dynamics": lambda x, u: tanh(tanh(x, u), u)},
    "curved pre-activation": {"dynamics": lambda x, u: np.tanh(affine(x**2, u, None))},
    "curved lift": {"dynamics": lambda z: np.tanh(z), "lift": lambda x, u: affine(x**2, u, None)},
    "curved rest": {"dynamics": lambda x, u: tanh(x, u) + x**2},
    "a step beside": {"dynamics": lambda x, u: tanh(x, u) + ca.sign(x)},
    "a floor beside": {"dynamics": lambda x, u: tanh(x, u) + ca.floor(u[0] * x)},
    "a choice beside": {"dynamics": lambda x, u: tanh(x, u) + ca.if_else(x[0] > 0.0, 1.0, 0.0)},
    "a choice of x in the pre-activation": {"dynamics": lambda x, u: np.tanh(ca.if_else(x > 0.0, u[:N], u[N : 2 * N]))},
    "a slope that is controlled": {"dynamics": lambda x, u: np.fmax(affine(x, u, None), u[0] * affine(x, u, None))},
    "implicit": {
        "dynamics": lambda x, u, z: np.tanh(affine(x, u, None)) + z,
        "lift": ocdl.Implicit(lambda x, z: z**3 + z - x, unknowns=N),
    },
    "a table": {
        "dynamics": lambda x, u: (
            tanh(x, u) + ca.interpolant("table", "linear", [[-5.0, 0.0, 5.0]], [0.0, 1.0, 0.0])(x[0])
        )
    },
}


@pytest.mark.parametrize("name", IMPOSTORS)
def test_impostors_have_no_form(name):
    assert dense_form(problem(**{"controls": M} | IMPOSTORS[name])) is None


@pytest.mark.parametrize("sigma", activations(), ids=repr)
def test_selection_networks(sigma):
    y = np.arange(1.0, 4.0)
    selection = ocdl.SelectionProblem(
        activation=sigma, horizon=1.0, initial=lambda nodes: np.outer(y, nodes), target=lambda nodes: np.outer(y, nodes)
    )
    stated = selection.discretise(ocdl.Midpoint(5))
    form = check_rate(stated)
    check_derivatives(stated, form)
    assert form.coefficients.linear and form.k == stated.n


def test_hamiltonian_networks():
    def dynamics(x, u):
        K, b = square(u, 2), u[4:6]
        return ca.vertcat(np.tanh(K @ x[2:] + b), -np.tanh(K.T @ x[:2] + b))

    stated = problem(dynamics, controls=6, n=4)
    form = check_rate(stated)
    check_derivatives(stated, form)
    assert form.coefficients.linear and form.k == 4


def test_wider_layers_take_their_controls_as_they_are():
    n = 24
    stated = problem(lambda x, u: np.tanh(square(u, n) @ x + u[n * n :]), controls=n * n + n, n=n)
    form = check_rate(stated)
    u, p, _ = points(stated)
    arrays = form.coefficients.arrays(u, p)
    assert np.shares_memory(arrays.W, u) and np.shares_memory(arrays.v, u)
    by_u, _ = form.coefficients.pulled_back(u, p, arrays)
    assert np.array_equal(by_u, u)
    turned = problem(lambda x, u: np.tanh(square(u, n).T @ x - u[n * n :]), controls=n * n + n, n=n)
    check_derivatives(turned, check_rate(turned))


def test_a_form_is_found_once():
    stated = problem(tanh, controls=M)
    assert dense_form(stated) is dense_form(stated)


@pytest.mark.parametrize(
    ("name", "module", "limit"),
    [
        ("contractive", pattern, "VISITED"),
        ("low rank", coefficients, "WRITTEN"),
        ("positive", coefficients, "NODES"),
        ("antisymmetric", coefficients, "COLOURED"),
    ],
)
def test_what_is_too_large_has_no_form(name, module, limit, monkeypatch):
    pre, outer, sizes, _ = FORMS[name]
    monkeypatch.setattr(module, limit, 3)
    assert dense_form(spelled(pre, outer(np.tanh), **sizes)) is None


def formula(draw, depth, leaves):
    """A random expression, the same for the same state of ``draw``."""
    if depth == 0:
        return [*leaves, ca.SX(draw.integers(-2, 3))][draw.integers(len(leaves) + 1)]
    kind, one = draw.integers(8), formula(draw, depth - 1, leaves)
    if kind in (3, 4, 5):
        return [-one, np.tanh(one), np.fmax(one, draw.choice([0.0, 0.1]) * one)][kind - 3]
    other = formula(draw, depth - 1, leaves)
    return {0: one + other, 1: one - other, 2: one * other, 6: ca.if_else(one > 0.0, one, other), 7: 2.0 * one + other}[
        kind
    ]


def random_layer(seed):
    """Now the same function of every z_i, now rows of their own."""

    def dynamics(x, u):
        draw, z = np.random.default_rng(seed), affine(x, u, None)
        s = ca.SX.sym("s")
        of = ca.Function("of", [s, u], [formula(draw, 3, [s]) + formula(draw, seed % 2, [s, u[0]])])
        return [of(z[i], u) + formula(draw, seed % 3, [x[i], u[1]]) for i in range(N)]

    return dynamics


def test_random_layers():
    """Whatever has a form is what the form says."""
    kinds = []
    for seed in range(24):
        stated = problem(random_layer(seed), controls=M)
        form = dense_form(stated)
        kinds.append(None if form is None else type(form.activation))
        if form is not None:
            check_rate(stated, form)
    assert {None, Identity, Expression, ocdl.Tanh} <= set(kinds)
