"""What the compiled loops call activations, and the kinds of the coefficients V and S."""

from ocdl.statement.activations import ELU, Activation, Identity, LeakyReLU, ReLU, Sigmoid, Tanh

TANH, SIGMOID, RELU, EXPONENTIAL, IDENTITY = range(5)
NONE, FACTOR, MATRIX, ONE = range(4)


def code(activation: Activation) -> tuple[int, float] | None:
    """What the loops call σ, and its parameter; None where they do not know it, as a subclass with its own formula."""
    known = {
        Tanh: (TANH, 0.0),
        Sigmoid: (SIGMOID, 0.0),
        ReLU: (RELU, 0.0),
        LeakyReLU: (RELU, getattr(activation, "slope", 0.0)),
        ELU: (EXPONENTIAL, getattr(activation, "alpha", 1.0)),
        Identity: (IDENTITY, 0.0),
    }
    found = known.get(type(activation))
    return None if found is None else (found[0], float(found[1]))
