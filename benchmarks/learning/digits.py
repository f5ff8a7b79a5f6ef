"""Handwritten digits at 64 channels: accuracies, J and CPU seconds, ours beside PyTorch's on the same residual network.

    python benchmarks/learning/digits.py [--torch PYTHON] [--seeds 1] [--limit 60]

0 against 8 from 100 images, and ten classes from 1000; all other images of scikit-learn's 1797 are held out.

    x_{k+1} = x_k + h tanh(K_k x_k + b_k),  h = 1/N,   J = mean cross-entropy of softmax(W x_N + μ)
                                                           + ½ α (h Σ_k (|K_k|² + |b_k|²) + |W|² + |μ|²)

N = 10, α = 1e-4, K ~ N(0, 1/64), W ~ N(0, 1/64). PyTorch has Adam at three steps, of which the best J counts, and
SciPy's L-BFGS-B (maxcor 20) on its gradients. Every method ends at a gradient of 1e-6 or after ``--limit`` CPU seconds.
Each side is a process of its own, one thread; J and accuracies of all are those of one NumPy forward pass.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sides import Answer, Side, begin, ours, peers

import ocdl

LAYERS, CHANNELS, WEIGHT, TOLERANCE = 10, 64, 1e-4, 1e-6
TASKS = {"0 against 8": ((0, 8), 100), "ten classes": (tuple(range(10)), 1000)}
RATES = (1e-2, 3e-3, 1e-3)
Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Task:
    """Images to train on and to be held out, with their classes, and where all methods start."""

    train: ocdl.Samples
    held_out: ocdl.Samples
    start: dict[str, Array]

    @classmethod
    def drawn(cls, classes: tuple[int, ...], count: int, seed: int) -> Task:
        n, generator = CHANNELS, np.random.default_rng(seed)
        start = {
            "K": generator.standard_normal((LAYERS, n, n)) / np.sqrt(n),
            "beta": np.zeros((LAYERS, n)),
            "W": generator.standard_normal((len(classes), n)) / np.sqrt(n),
            "mu": np.zeros(len(classes)),
        }
        return cls(*ocdl.digits(classes=classes, nodes=8, count=count, seed=seed), start)

    def job(self, method: str, limit: float, rate: float = 0.0) -> dict[str, Any]:
        given = {"inputs": self.train.inputs.tolist(), "labels": self.train.labels.tolist()}
        start = {name: part.tolist() for name, part in self.start.items()}
        how = {"method": method, "limit": limit, "rate": rate, "weight": WEIGHT, "tolerance": TOLERANCE}
        return {"what": "digits", **given, "start": start, **how}


def outputs(found: dict[str, Array], inputs: Array) -> Array:
    """W x_N + μ."""
    x = inputs
    for K, b in zip(found["K"], found["beta"], strict=True):
        x = x + np.tanh(x @ K.T + b) / len(found["K"])
    return np.asarray(x @ found["W"].T + found["mu"])


def cost(found: dict[str, Array], inputs: Array, labels: Array) -> float:
    """J."""
    given = outputs(found, inputs)
    top = given.max(axis=1)
    losses = np.log(np.exp(given - top[:, None]).sum(axis=1)) + top - given[np.arange(len(given)), labels]
    squares = {name: float(np.sum(part**2)) for name, part in found.items()}
    depth = (squares["K"] + squares["beta"]) / len(found["K"])
    return float(losses.mean()) + 0.5 * WEIGHT * (depth + squares["W"] + squares["mu"])


def judged(task: Task, answer: Answer) -> tuple[float, float, float, float]:
    """J, the shares of right classes in training and held out, and the CPU seconds."""
    found = {name: np.array(answer[name]) for name in task.start}
    right = [
        float(np.mean(outputs(found, part.inputs).argmax(axis=1) == part.labels))
        for part in (task.train, task.held_out)
    ]
    return cost(found, task.train.inputs, task.train.labels), *right, answer["seconds"]


def runs(side: Side, task: Task, limit: float) -> dict[str, tuple[float, float, float, float]]:
    """Every method of a side; of Adam the step with the least J."""
    jobs = {"Train": task.job("Train", limit), "LBFGS": task.job("LBFGS", limit)}
    if side.name == "PyTorch":
        jobs = {"SciPy L-BFGS-B": task.job("SciPy L-BFGS-B", limit)}
        jobs |= {f"Adam, step {rate:g}": task.job("Adam", limit, rate) for rate in RATES}
    found = dict(zip(jobs, (judged(task, answer) for answer in side.answers(list(jobs.values()))), strict=True))
    best = min((name for name in found if "Adam" in name), key=lambda name: found[name][0], default="")
    return {name: figures for name, figures in found.items() if "Adam" not in name or name == best}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--limit", type=float, default=60.0)
    given = begin(parser)
    sides = [replace(side, script="digits_in_torch.py") for side in peers(given) if side.name == "PyTorch"]
    sides.append(replace(ours()[0], script="digits_in_ocdl.py"))
    print(f"{'':12}{'seed':>5} {'':38}{'J':>11}{'training':>10}{'held out':>10}{'CPU s':>8}")
    for name, (classes, count) in TASKS.items():
        for seed in range(given.seeds):
            task = Task.drawn(classes, count, seed)
            for side in sides:
                for method, (J, seen, unseen, seconds) in runs(side, task, given.limit).items():
                    said = f"{name:12}{seed:5d} {f'{side.name}: {method}':38}"
                    print(f"{said}{J:11.6f}{seen:10.1%}{unseen:10.1%}{seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
