"""Where HTML pages come from: templates that escape what they show and refuse what they do not know."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates_of(package: str) -> Environment:
    """The templates in a package's folder `templates`."""
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
    """A share as people read it.

    >>> percent(0.876), percent(0.004)
    ('88%', '0%')
    """
    return f"{100 * share:.0f}%"
