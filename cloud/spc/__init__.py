"""Statistical process control: control charts, capability, acceptance sampling."""
