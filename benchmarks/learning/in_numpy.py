"""The adjoint by hand of ``network.py`` as a side."""

from network import example, milliseconds
from race import lbfgsb, network_of
from sides import Answer, serve


def gradient(samples: int, width: int, layers: int) -> Answer:
    network, w = example(samples, width, layers)
    cost, slope = network.value_and_gradient(w)
    times = {"by hand": milliseconds(lambda: network.value_and_gradient(w))}
    return {"cost": cost, "gradient": slope.tolist(), "milliseconds": times}


def race(name: str, seed: int, weight: float, box: float, limit: float, method: str) -> Answer:
    network = network_of(name, weight)
    return lbfgsb(network.value_and_gradient, network.start(seed), box, limit).judged(network, box)


if __name__ == "__main__":
    serve({"gradient": gradient, "race": race})
