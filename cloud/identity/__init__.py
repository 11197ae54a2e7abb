"""Identity: tenants, their sites and users, and the credentials they sign in with."""
