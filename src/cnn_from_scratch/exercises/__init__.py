"""Exercises: write the heart of a convolutional network yourself, and let the library tell what is wrong.

`cnn check` is the command for it; `check_function` does the same for a function, as in a notebook.
"""

from .checking import check_file, check_function, write_stubs
from .registry import EXERCISES, arguments, find_exercise
from .verdict import Verdict

__all__ = ["EXERCISES", "Verdict", "arguments", "check_file", "check_function", "find_exercise", "write_stubs"]
