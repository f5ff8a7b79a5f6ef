"""What perturbations become: evolution operators, Lipschitz constants, certified and attacked radii."""
