"""Onboarding: finds devices, tells what they are, and proposes how to read and name their points."""
