"""One file for each page; a page draws what the modules beside this folder know."""
