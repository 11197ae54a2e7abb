"""The solution shelf: small, ready packages that a company publishes and another one installs into its own tenant."""
