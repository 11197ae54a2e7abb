"""The technician's pages: `sunmao-edge ui`. A process of its own, so that the agent stays small."""
