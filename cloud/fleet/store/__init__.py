"""The SQL of the fleet domain: agents with all they report, and what they are asked to look at."""
