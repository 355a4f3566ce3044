"""One file for each exercise: the classic mistakes, as functions that make them."""
