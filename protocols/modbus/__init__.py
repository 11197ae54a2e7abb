"""Modbus TCP and RTU over TCP."""
