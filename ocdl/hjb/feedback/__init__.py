"""Feedback: the value function at any state, its synthesis, and rollouts in closed loop."""
