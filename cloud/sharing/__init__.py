"""What one company lets another see: grants, their limits, and proof of every read."""
