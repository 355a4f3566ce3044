"""Readers of files and what is done to their files: for the short run in the tests, and for the long one of the record.

`readers` has a table of all readers, each with small valid files; `mutations` changes bytes; the others know a format
well enough to change what lies behind a checksum, and to make the checksum right again.
"""
