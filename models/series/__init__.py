"""Machine health from sensor series: what is usual, what is not, and which sensor says so."""
