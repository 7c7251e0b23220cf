"""Jinja2 templates of HTML pages: values are escaped, and an undefined variable is an error."""

import math

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def templates_of(package: str) -> Environment:
    """The templates in a package's folder `templates` and those that all pages share.

    Filters: `percent` and `signed`.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates"), PackageLoader("emocap", "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["signed"] = signed
    return environment


def percent(share: float) -> str:
    """A share in whole percent; 100% and 0% only where the share is exactly that.

    >>> percent(0.784), percent(0.9996), percent(0.001), percent(-0.12)
    ('78%', '>99%', '<1%', '−12%')
    """
    if 0.995 <= share < 1:
        return ">99%"
    if 0 < share < 0.005:
        return "<1%"
    return f"{math.floor(100 * share + 0.5)}%".replace("-", "−")


def signed(value: float, digits: int) -> str:
    """A number with its sign and this many decimals; what rounds to zero has a plus sign.

    >>> signed(0.14, 1), signed(-0.26, 1), signed(-0.04, 1)
    ('+0.1', '-0.3', '+0.0')
    """
    return f"{round(value, digits) + 0.0:+.{digits}f}"
