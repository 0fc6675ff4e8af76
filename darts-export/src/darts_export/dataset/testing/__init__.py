"""For tests of data sets: small archives, and small tables of Level 2 and 3 whose answer is known."""
