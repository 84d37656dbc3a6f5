"""sphere_theory."""
