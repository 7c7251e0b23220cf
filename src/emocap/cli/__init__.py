"""The command line: one module per group of commands, which parses options, calls the library and prints.

No other package may import this one; it may import every other.
"""
