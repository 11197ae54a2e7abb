"""The pages. Each file holds one page with its own words in both languages."""
