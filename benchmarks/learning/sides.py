"""The sides of a comparison: each a script of this folder, in an interpreter of its own, one thread, one process group.

A side reads jobs, one JSON object a line, and answers each by one; it is asked for what it offers by name.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Answer = dict[str, Any]

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}


@dataclass(frozen=True)
class Side:
    name: str
    script: str
    python: str
    options: tuple[str, ...] = ()

    def answers(self, jobs: list[Answer]) -> list[Answer]:
        """The answer to each job, all in one process."""
        command = [self.python, "-W", "ignore", str(Path(__file__).with_name(self.script)), *self.options]
        lines = "".join(json.dumps(job) + "\n" for job in jobs)
        done = subprocess.run(
            command, input=lines, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **ONE_THREAD}
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


def serve(offers: dict[str, Callable[..., Answer]]) -> None:
    """Answer the jobs of standard input, {"what": name, **arguments} each."""
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(offers[job.pop("what")](**job)), flush=True)


def begin(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments given; and this process and its children are held to one core, for XLA counts those it may use."""
    parser.add_argument("--torch", metavar="PYTHON", default=_own("torch"), help="an interpreter with PyTorch, SciPy")
    parser.add_argument("--jax", metavar="PYTHON", default=_own("jax"), help="an interpreter with JAX and SciPy")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return parser.parse_args()


def _own(module: str) -> str | None:
    return sys.executable if importlib.util.find_spec(module) else None


def peers(given: argparse.Namespace) -> list[Side]:
    """Those whose interpreter is known."""
    where = (("PyTorch", "in_torch.py", given.torch), ("JAX", "in_jax.py", given.jax))
    return [Side(name, script, python) for name, script, python in where if python]


def ours() -> list[Side]:
    """ocdl with numba, where it is installed, and with NumPy alone."""
    own = [Side("ocdl, NumPy", "in_ocdl.py", sys.executable, ("--without-numba",))]
    return [Side("ocdl, numba", "in_ocdl.py", sys.executable)] * bool(_own("numba")) + own


NUMPY = Side("NumPy by hand", "in_numpy.py", sys.executable)
