"""Training: from pictures of good parts to a signed model, in steps a technician can follow and an operator improves."""
