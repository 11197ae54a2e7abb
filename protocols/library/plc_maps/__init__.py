"""Modbus maps of programmable controllers, one TOML file each; read by `protocols.library.plc`."""
