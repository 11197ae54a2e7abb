"""Visual inspection learnt from pictures of good parts only."""
