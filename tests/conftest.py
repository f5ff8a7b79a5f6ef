"""Lets the tests import ``families`` and one another; property tests are deterministic and small."""

import os
import sys
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # the tests themselves run in parallel
    os.environ.setdefault(name, "1")

import casadi as ca  # noqa: E402
from hypothesis import settings  # noqa: E402

import ocdl.public  # noqa: E402, F401 a family has all its members, whatever a test asks for

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(folder) for folder in sorted(HERE.iterdir()) if folder.is_dir())]
settings.register_profile("ocdl", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("ocdl")

if hasattr(ca.GlobalOptions, "setNumpyMode"):  # what it does by default, without its notice
    ca.GlobalOptions.setNumpyMode(-1)
