"""Telemetry: readings taken in exactly once, rolled up, and answered for."""
