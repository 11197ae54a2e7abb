"""What every domain stands on: database, tenant scope, settings, errors, limits, audit."""
