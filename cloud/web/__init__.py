"""The pages people see. They call the domains' services and own no SQL; `mount.mount(app)` puts them on the application."""
