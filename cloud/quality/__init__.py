"""Quality: what the inspection stations found, the pictures that show why, and the operators' word on it."""
