"""The messages between edge agent and cloud. Both sides import them from here and meet only over the wire."""
