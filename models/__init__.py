"""How a model is born, packed and judged."""
