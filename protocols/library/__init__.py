"""Known devices as data: one TOML per device."""
