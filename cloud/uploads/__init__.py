"""Values that people enter: templates, what is wrong with a file cell by cell, and files taken wholly or not at all."""
