"""One file for each exercise: its ladder, its hints, the library's answer, and how a right number comes about."""
