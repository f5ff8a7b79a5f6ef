"""The direct route: collocate, transcribe, solve by IPOPT."""

from ocdl.nlp.ipopt import Ipopt

__all__ = ["Ipopt"]
