"""Programmes of a leader: suppliers invited with one file, and how far each has come."""
