"""The agent in the factory: collect, normalise, buffer, forward, inspect."""

__version__ = "0.1.0"
