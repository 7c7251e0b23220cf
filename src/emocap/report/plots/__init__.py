"""Every figure of the report, drawn by matplotlib and returned as inline SVG with a caption.

Only the other modules of `emocap.report` import it.
"""
