"""Pairs from and to the tables and datasets of other libraries, one module for each; none is imported until used."""
