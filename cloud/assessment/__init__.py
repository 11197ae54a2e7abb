"""The official maturity assessment of small and medium enterprises: answers, evidence, scores, level, what to do next."""
