"""The cloud: one FastAPI application of small domains over PostgreSQL."""

__version__ = "0.1.0"
