"""Semantics: equipment as Asset Administration Shells, and the dictionary as files, out and in."""
