"""Lets the tests import ``families`` next to them; property tests are deterministic and small."""

import os
import sys
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # the tests themselves run in parallel
    os.environ.setdefault(name, "1")

import casadi as ca  # noqa: E402
from hypothesis import settings  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("ocdl", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("ocdl")

if hasattr(ca.GlobalOptions, "setNumpyMode"):  # what it does by default, without its notice
    ca.GlobalOptions.setNumpyMode(-1)
