"""Lets the tests import ``families`` next to them; property tests are deterministic and small."""

import sys
from pathlib import Path

import casadi as ca
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("ocdl", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("ocdl")

if hasattr(ca.GlobalOptions, "setNumpyMode"):  # what it does by default, without its notice
    ca.GlobalOptions.setNumpyMode(-1)
