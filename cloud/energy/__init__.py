"""The energy domain: what flows, what it costs, what it stands for, and which machine to renew."""
