"""Inspection on the box: pictures from a folder, a signed model, verdicts with their evidence."""
