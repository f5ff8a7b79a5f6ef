"""Our side of ``digits.py``: the same network as a statement, by the method of that name."""

import time
from unittest import mock

import numpy as np
from sides import Answer, serve

import ocdl
from ocdl.nlp.training.walk import Walk


def problem(inputs: list, labels: list, weight: float) -> ocdl.ControlProblem:
    classes = max(labels) + 1
    return ocdl.network(
        ocdl.Residual(),
        np.array(inputs),
        np.array(labels),
        readout=ocdl.Readout(link=ocdl.Softmax(), outputs=classes),
        loss=ocdl.SoftmaxCrossEntropy(),
        regulariser=ocdl.Tikhonov(weight),
    )


def digits(
    inputs: list, labels: list, start: dict, method: str, limit: float, rate: float, weight: float, tolerance: float
) -> Answer:
    statement, begins = problem(inputs, labels, weight), {name: np.array(part) for name, part in start.items()}
    depth, move = ocdl.ExplicitEuler(len(begins["K"])), Walk.move
    end = time.process_time() + limit

    def timed(self: Walk, point: object) -> None:
        move(self, point)
        if time.process_time() > end:
            raise KeyboardInterrupt

    with mock.patch.object(Walk, "move", timed):
        solution = ocdl.solve(
            statement,
            depth,
            getattr(ocdl, method)(tolerance=tolerance),
            start=begins,
            on_failure="return",
            progress=False,
            certificate="first order",
        )
    found = {name: np.asarray(getattr(solution, name)).tolist() for name in begins}
    return {"seconds": float(solution.history["cpu_seconds"][-1]), "told": solution.detail} | found


if __name__ == "__main__":
    serve({"digits": digits})
