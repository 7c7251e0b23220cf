"""Import and export of feature stores from and to the file formats of other projects.

Imported only by the `emocap store` commands, through `convert`.
"""
