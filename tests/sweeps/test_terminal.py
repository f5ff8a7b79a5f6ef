"""Terminal losses in numbers: CasADi's own over every loss, link and output, and known only where they are."""

import itertools

import casadi as ca
import numpy as np
import pytest
from families import concrete, name_of, rich, selection

import ocdl
from ocdl.statement.losses import CrossEntropy, HalfSquare, Link, Logistic, Loss, Softmax, SoftmaxCrossEntropy
from ocdl.statement.readout_loss import Output, ReadoutLoss
from ocdl.sweeps.fused.terminal import AnyTerminal, ReadoutTerminal, SquaresTerminal, terminal_form

S, n, K = 7, 3, 3
draw = np.random.default_rng(0)
OUTPUTS = {
    "state": Output(np.array([0.2, 0.5, 0.3])),
    "kernel": Output(np.array([0.2, 0.5, 0.3]), np.array([0.3, 0.3, 0.4]), place=1),
    "features": Output(np.ones(K), draw.standard_normal((2, n)), place=2),
    "fixed": Output(np.ones(K), np.ones(n), fixed=draw.standard_normal(K * (n + 1))),
}


def goes(loss, link):
    try:
        loss.check(link)
    except ocdl.InvalidInput:
        return False
    return True


LOSSES = [cls() for cls in dict.fromkeys(concrete(Loss, "density") + concrete(Loss, "total"))]
LINKS = [cls() for cls in concrete(Link, "__call__")]
PAIRS = [(loss, link) for loss, link in itertools.product(LOSSES, LINKS) if goes(loss, link)]
every_loss = pytest.mark.parametrize(("loss", "link"), PAIRS, ids=name_of)
every_output = pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)


def stated(terminal, *, parameters=0, labels=None, states=n):
    labels = np.zeros((S, K)) if labels is None else labels
    return ocdl.ControlProblem(
        dynamics=lambda x, u: x * u,
        initial=np.zeros((S, states)),
        horizon=1.0,
        terminal=terminal,
        parameters=parameters,
        data=labels,
    )


def point(problem):
    """x, p, d, ω, dx, dp."""
    generator, d = np.random.default_rng(1), np.asarray(problem.data)
    x, dx = generator.standard_normal((2, len(d), problem.n))
    return (
        x,
        *generator.standard_normal((1, problem.P)),
        d,
        generator.uniform(0.1, 1.0, len(d)),
        dx,
        draw.random(problem.P),
    )


def known(loss, link, output):
    classes = np.random.default_rng(2).integers(0, K, S)
    return stated(ReadoutLoss(output, loss, link), parameters=output.place + output.size, labels=np.eye(K)[classes])


def same(found, oracle):
    for one, other in zip(found, oracle, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-14)


@every_loss
@every_output
def test_known_losses_have_the_derivatives_of_their_formulas(loss, link, output):
    problem = known(loss, link, output)
    x, p, d, omega, dx, dp = point(problem)
    form, oracle = terminal_form(problem), AnyTerminal(problem)
    assert type(form) is (ReadoutTerminal if link.pointwise or not loss.squares else AnyTerminal)
    assert form.value(x, p, d, omega) == pytest.approx(oracle.value(x, p, d, omega), rel=1e-14)
    same(form.slopes(x, p, d, omega), oracle.slopes(x, p, d, omega))
    same(form.products(x, p, d, omega, dx, dp), oracle.products(x, p, d, omega, dx, dp))


@every_loss
@every_output
def test_gauss_newton_is_what_the_rows_make_and_nowhere_negative(loss, link, output):
    problem = known(loss, link, output)
    x, p, d, omega, dx, dp = point(problem)
    form = terminal_form(problem)
    if type(form) is AnyTerminal:
        with pytest.raises(NotImplementedError):
            form.rows(x, p, d, omega)
        return
    in_x, in_p = form.products(x, p, d, omega, dx, dp, gauss_newton=True)
    assert np.all(np.einsum("sn,sn->", in_x, dx) + in_p @ dp >= 0.0)
    assert form.residuals == isinstance(loss, HalfSquare)
    if form.residuals:
        rho, rho_x, rho_p = form.rows(x, p, d, omega)
        assert 0.5 * np.sum(rho**2) == pytest.approx(form.value(x, p, d, omega), rel=1e-14)
        slopes = np.einsum("sk,skn->sn", rho, rho_x), np.einsum("sk,skp->p", rho, rho_p)
        same(slopes, form.slopes(x, p, d, omega)[1:])
        along = np.einsum("skn,sn->sk", rho_x, dx) + rho_p @ dp
        same((in_x, in_p), (np.einsum("sk,skn->sn", along, rho_x), np.einsum("sk,skp->p", along, rho_p)))


@every_loss
def test_gauss_newton_is_the_hessian_where_output_and_residuals_are_affine(loss, link):
    problem = known(loss, link, OUTPUTS["state"])
    form, (x, p, d, omega, dx, dp) = terminal_form(problem), point(problem)
    exact = form.products(x, p, d, omega, dx, dp)[0]
    differs = not np.allclose(exact, form.products(x, p, d, omega, dx, dp, gauss_newton=True)[0], rtol=1e-13)
    assert differs == (isinstance(loss, HalfSquare) and isinstance(link, Logistic))


class Steeper(HalfSquare):
    def density(self, output, label, link):
        return 3.0 * super().density(output, label, link)


class WithoutResiduals(Steeper):
    def density(self, output, label, link):
        return 3.0 * HalfSquare.density(self, output, label, link)

    def slopes(self, output, label, weights, link):
        return tuple(3.0 * part for part in HalfSquare.slopes(self, output, label, weights, link))

    def curvature(self, *given, **named):
        return 3.0 * HalfSquare.curvature(self, *given, **named)


class Complete(WithoutResiduals):
    density, slopes, curvature = WithoutResiduals.density, WithoutResiduals.slopes, WithoutResiduals.curvature

    def residuals(self, *given):
        return tuple(np.sqrt(3.0) * part for part in HalfSquare.residuals(self, *given))


class Added(CrossEntropy):
    def total(self, output, label, weights, link):
        return super().total(output, label, weights, link) + ca.sumsqr(output)


class Sharper(Logistic):
    def __call__(self, output):
        return super().__call__(4.0 * output)


class Same(HalfSquare):
    labels = (0.0, 1.0)


class OtherReadout(ReadoutLoss):
    def __call__(self, x, p, d):
        return 2.0 * super().__call__(x, p, d)


@pytest.mark.parametrize(
    ("terminal", "form"),
    [
        (ReadoutLoss(OUTPUTS["kernel"], Steeper(), Logistic()), AnyTerminal),
        (ReadoutLoss(OUTPUTS["kernel"], WithoutResiduals(), Logistic()), AnyTerminal),
        (ReadoutLoss(OUTPUTS["kernel"], Complete(), Logistic()), ReadoutTerminal),
        (ReadoutLoss(OUTPUTS["kernel"], Added(), Logistic()), AnyTerminal),
        (ReadoutLoss(OUTPUTS["kernel"], HalfSquare(), Sharper()), AnyTerminal),
        (ReadoutLoss(OUTPUTS["kernel"], HalfSquare(), Softmax()), AnyTerminal),
        (OtherReadout(OUTPUTS["kernel"], HalfSquare(), Logistic()), AnyTerminal),
        (ReadoutLoss(OUTPUTS["kernel"], Same(), Logistic()), ReadoutTerminal),
    ],
)
def test_what_changes_a_formula_is_not_taken_for_it(terminal, form):
    problem = stated(terminal, parameters=OUTPUTS["kernel"].size + 1)
    assert type(terminal_form(problem)) is form
    x, p, d, *_ = point(problem)
    column = ca.DM(x.T[:, 0]), ca.DM(p), ca.DM(d[0])
    one = terminal_form(problem).value(x[:1], p, d[:1], np.ones(1))
    assert one == pytest.approx(float(terminal(*column)), rel=1e-14)


@pytest.mark.parametrize(
    "terminal",
    [
        lambda x, d: 0.5 * ca.sumsqr(x - d),
        lambda x, d: (2 * x[0] - x[1] + 0.5 * x[2] - d[1] - 3.0) ** 2,
        lambda x: 4.0 * (x[0] - 1.0) ** 2 + (x[0] + x[1]) ** 2,
        lambda x: 1e-20 * x[0] ** 2 + x[1] ** 2,
        None,
    ],
)
def test_squares_are_found_in_the_graph(terminal):
    problem = stated(terminal, labels=np.random.default_rng(3).standard_normal((S, K)), parameters=2)
    form, oracle = terminal_form(problem), AnyTerminal(problem)
    assert type(form) is SquaresTerminal and form.residuals
    x, p, d, omega, dx, dp = point(problem)
    same(form.slopes(x, p, d, omega), oracle.slopes(x, p, d, omega))
    same(form.products(x, p, d, omega, dx, dp), oracle.products(x, p, d, omega, dx, dp))
    np.testing.assert_allclose(form.slopes(x, p, d, omega)[1], oracle.slopes(x, p, d, omega)[1], rtol=1e-12)
    rho, rho_x, _ = form.rows(x, p, d, omega)
    assert 0.5 * np.sum(rho**2) == pytest.approx(form.value(x, p, d, omega), rel=1e-13)
    np.testing.assert_allclose(np.einsum("sk,skn->sn", rho, rho_x), form.slopes(x, p, d, omega)[1], rtol=1e-12)


def test_small_squares_keep_their_digits():
    problem = stated(lambda x, d: 0.5 * ca.sumsqr(x - d), labels=np.full((S, K), 0.3))
    d = np.asarray(problem.data)
    value = terminal_form(problem).value(d + 2.0**-30, np.zeros(0), d, np.ones(S))
    assert value == pytest.approx(0.5 * S * K * 2.0**-60, rel=1e-6)


@pytest.mark.parametrize(
    "terminal",
    [
        lambda x: x[0] * x[1],
        lambda x: x[0],
        lambda x: 1e-20 * x[0] + x[1] ** 2,
        lambda x: 1e-20 * x[0] * x[1] + x[1] ** 2,
        lambda x: -(x[0] ** 2),
        lambda x, d: d[0] * x[0] ** 2,
        lambda x, p: (x[0] - p[0]) ** 2,
        lambda x: ca.fabs(x[0]),
        lambda x: ca.exp(x[0]),
    ],
)
def test_what_is_no_sum_of_squares_is_left_to_casadi(terminal):
    assert type(terminal_form(stated(terminal, parameters=1))) is AnyTerminal


def test_a_constant_beside_squares_offers_no_rows():
    form = terminal_form(stated(lambda x: x[0] ** 2 + 1.0))
    assert type(form) is SquaresTerminal and not form.residuals
    assert form.value(np.zeros((2, n)), np.zeros(0), np.zeros((2, K)), np.ones(2)) == pytest.approx(2.0)


def test_any_formula_has_the_derivatives_of_its_differences():
    problem = rich(4)
    x, p, d, omega, dx, dp = point(problem)
    form, step = terminal_form(problem), 1e-6
    ahead, behind = (form.slopes(x + e * dx, p + e * dp, d, omega) for e in (step, -step))
    value, in_x, in_p = form.slopes(x, p, d, omega)
    losses = [problem.terminal_loss(x[s], p, s) for s in range(4)]
    assert value == pytest.approx(omega @ losses, rel=1e-14)
    assert (ahead[0] - behind[0]) / (2 * step) == pytest.approx(np.sum(in_x * dx) + in_p @ dp, rel=1e-8)
    found = form.products(x, p, d, omega, dx, dp)
    for part, a, b in zip(found, ahead[1:], behind[1:], strict=True):
        np.testing.assert_allclose(part, (a - b) / (2 * step), rtol=1e-7, atol=1e-8)


def test_a_selection_problem_states_a_known_loss():
    problem = selection(
        initial=np.zeros((4, 5)),
        readout=ocdl.Readout(link=Softmax(), outputs=3),
        target=[0, 2, 1, 1],
        loss=SoftmaxCrossEntropy(),
    ).discretise(ocdl.Midpoint(5))
    assert type(terminal_form(problem)) is ReadoutTerminal
    assert problem.terminal_loss(np.zeros(5), np.zeros(problem.P)) == pytest.approx(np.log(3.0))
