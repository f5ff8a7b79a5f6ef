"""What happens as t grows: steady states, their stability, Lyapunov functionals, growth and contraction."""
