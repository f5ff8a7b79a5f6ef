"""Handwritten digits, 0 against 8, as functions on Y = [0, 1]².

∂t f = tanh(a − ∫ b f dz) with f_I the image averaged over 4 × 4 cells, ten Euler layers, T = 1, twenty training
images, prediction h(O) with O = ∫ W f(z,T) dz + μ and logistic h,
J = mean ½ (h(O) − c)² + (λ/2) (|a|² + |b|² + |W|² + |μ|²) in L²,  |a|, |b| ≤ 5 and |W|, |μ| ≤ 20.
The data are scikit-learn's. ``Ipopt`` solves it too, in full space, and takes several times as long.
Source: Liu and Markowich, sections 2.3 and 2.4.
"""

import ocdl


def problem(*, weight: float = 1e-4, count: int = 20, seed: int = 0) -> ocdl.SelectionProblem:
    train, _ = ocdl.digits(classes=(0, 8), nodes=4, count=count, seed=seed)
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        domain=((0, 1), (0, 1)),
        initial=train.inputs,
        target=train.labels,
        bounds=ocdl.Box(a=(-5, 5), b=(-5, 5)),
        readout=ocdl.Readout(link=ocdl.Logistic(), outputs=1, weight=(-20, 20), bias=(-20, 20)),
        regulariser=ocdl.Tikhonov(weight),
    )


def grid() -> ocdl.Grid:
    width = ocdl.TensorProduct(ocdl.Midpoint(4), ocdl.Midpoint(4))
    return ocdl.Grid(width=width, depth=ocdl.ExplicitEuler(layers=10))


def methods() -> list[ocdl.Method]:
    return [ocdl.InteriorPoint(tolerance=1e-7), ocdl.ProjectedGradient()]
