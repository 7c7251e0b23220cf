"""Jinja2 templates of HTML pages: values are escaped, and an undefined variable is an error."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates_of(package: str) -> Environment:
    """A Jinja2 environment for the templates in a package's folder `templates`, with the filter `percent`."""
    environment = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    return environment


def percent(share: float) -> str:
    """A share as a whole percentage.

    >>> percent(0.876), percent(0.004)
    ('88%', '0%')
    """
    return f"{100 * share:.0f}%"
