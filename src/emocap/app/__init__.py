"""A model served to people and programs: a web page and REST in one process."""
