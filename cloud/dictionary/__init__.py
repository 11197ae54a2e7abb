"""Dictionary: the released entries, as the API answers them."""
