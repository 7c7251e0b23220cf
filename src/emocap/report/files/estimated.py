"""A mean over images with its 95% interval, as the files of captions contain it."""

from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from emocap.report.files.comparison import LARGEST, ROUNDING, Unit

NonNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-ROUNDING, le=LARGEST)]


class Estimated(BaseModel):
    """A mean over images with its 95% interval."""

    mean: NonNegative
    low: NonNegative
    high: NonNegative

    @model_validator(mode="after")
    def _ordered(self) -> "Estimated":
        if self.low > self.high:
            raise ValueError(f"'low' is {self.low}, above 'high', {self.high}")
        return self


class Share(Estimated):
    """A share of images with its 95% interval."""

    mean: Unit
    low: Unit
    high: Unit
