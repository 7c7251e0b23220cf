"""The settings of each loss, free of torch; `losses` has the function of each.

To add a loss, add its settings class to `LOSS_SETTINGS` here, and its function and entry to `losses`.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class BaseLossSettings(BaseModel):
    """Settings of one loss; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    name: str


class BceLoss(BaseLossSettings):
    """Binary cross-entropy."""

    name: Literal["bce"] = "bce"


class WeightedLoss(BaseLossSettings):
    """Binary cross-entropy with positives weighted by (negatives / positives) ** power, at most `max_weight`."""

    name: Literal["weighted"] = "weighted"
    power: float = Field(0.5, ge=0, le=1)
    max_weight: float = Field(10.0, ge=1)


class FocalLoss(BaseLossSettings):
    """Lin et al. 2017: easy cells are down-weighted by the power `gamma`; `alpha` is the weight of positives."""

    name: Literal["focal"] = "focal"
    gamma: float = Field(2.0, ge=0)
    alpha: float | None = Field(None, gt=0, lt=1)


class AsymmetricLoss(BaseLossSettings):
    """Ridnik et al. 2021: separate powers for negatives and positives; negatives below `margin` cost nothing."""

    name: Literal["asymmetric"] = "asymmetric"
    gamma_negative: float = Field(4.0, ge=0)
    gamma_positive: float = Field(0.0, ge=0)
    margin: float = Field(0.05, ge=0, lt=1)


class SmoothedLoss(BaseLossSettings):
    """Szegedy et al. 2016: binary cross-entropy against targets moved towards 1/2 by the share `smoothing`."""

    name: Literal["smoothed"] = "smoothed"
    smoothing: float = Field(0.1, ge=0, lt=1)


LOSS_SETTINGS: tuple[type[BaseLossSettings], ...] = (BceLoss, WeightedLoss, FocalLoss, AsymmetricLoss, SmoothedLoss)
_BY_NAME: dict[str, type[BaseLossSettings]] = {kind.model_fields["name"].default: kind for kind in LOSS_SETTINGS}


def _with_name(value: Any) -> Any:
    """The loss as a mapping also where it is given by its name; anything invalid is one error of one sentence."""
    if isinstance(value, BaseLossSettings):
        return value
    if isinstance(value, str):
        value = {"name": value}
    names = ", ".join(_BY_NAME)
    if not isinstance(value, dict):
        raise ValueError(f"expected the name of a loss ({names}), or a mapping with its name and settings")
    name = value.get("name")
    if name is None:
        raise ValueError(f"the mapping has no name; give one of {names}")
    if not isinstance(name, str) or name not in _BY_NAME:
        raise ValueError(f"there is no loss {name!r}; choose one of {names}")
    own = [key for key in _BY_NAME[name].model_fields if key != "name"]
    unknown = [str(key) for key in value if key != "name" and key not in own]
    if unknown:
        known = f"it has {', '.join(own)}" if own else "it has none"
        raise ValueError(f"the loss {name!r} has no setting {', '.join(map(repr, unknown))}; {known}")
    return value


if TYPE_CHECKING:
    LossSettings = BaseLossSettings
else:
    LossSettings = Annotated[
        Union[LOSS_SETTINGS],  # noqa: UP007  # a tuple of classes cannot be written with |
        Field(discriminator="name"),
        BeforeValidator(_with_name),
    ]
