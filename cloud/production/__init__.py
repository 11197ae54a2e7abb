"""Production: when work is planned, what the machines did, what came of it, and the figures of ISO 22400 made of these."""
