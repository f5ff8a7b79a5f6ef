"""How long does ``import ocdl`` take beside what it stands on, and ``ocdl --help``?

Processor seconds of a fresh interpreter, bytecode compiled before as an installer does; the sides take turns, and of
each the least of ROUNDS counts, which the machine's other work disturbs least. A name of ocdl loads its module when it
is asked for, so what a program of one route asks for is held to the same bound; all names together are printed only.
"""

import os
import resource
import subprocess
import sys
import tempfile

import ocdl

ROUNDS = 10
MOST = 1.3  # times the import of casadi, numpy and xarray alone

SIDES = {
    "import casadi, numpy, xarray": ("-c", "import casadi, numpy, xarray"),
    "import ocdl": ("-c", "import ocdl"),
    "ocdl --help": ("-m", "ocdl", "--help"),
    "one route and solve": ("-c", "from ocdl import ControlProblem, Ipopt, Radau, solve"),
    "every public name": ("-c", "from ocdl import *"),
}
JUDGED = ("import ocdl", "ocdl --help", "one route and solve")


def spent(arguments: tuple[str, ...], surroundings: dict[str, str]) -> float:
    """Processor seconds of one interpreter, the system's included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], env=surroundings, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured() -> dict[str, float]:
    """The least of ROUNDS for each side, after one that compiles the bytecode."""
    with tempfile.TemporaryDirectory() as bytecode:
        surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        surroundings |= {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONPATH": os.path.dirname(ocdl.__path__[0])}
        rounds = [{side: spent(it, surroundings) for side, it in SIDES.items()} for _ in range(1 + ROUNDS)]
    return {side: min(each[side] for each in rounds[1:]) for side in SIDES}


if __name__ == "__main__":
    seconds = measured()
    reference = next(iter(seconds.values()))
    for side, least in seconds.items():
        print(f"{side:30} {least:6.3f} s   {least / reference:5.2f}")
    most = max(seconds[side] for side in JUDGED) / reference
    if most > MOST:
        sys.exit(f"{most:.2f} times the reference; at most {MOST}.")
