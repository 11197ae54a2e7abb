"""Released models, what stations run, and roll-outs from shadow over canary to full."""
