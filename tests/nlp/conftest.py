"""Lets the tests of this directory import ``nlp_problems`` next to them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
