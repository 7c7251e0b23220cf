"""The report of an extraction: how many images were described, which are missing and which were rejected."""

from dataclasses import asdict, dataclass
from pathlib import Path

from emocap.corpora.pairs import RejectedRow
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.progress import logger
from emocap.regions.store.format import REPORT


@dataclass(frozen=True)
class ExtractionReport:
    """The outcome of the images of a run; `report.json` in the store holds it.

    Attributes:
        n_images: images that were described.
        missing: images without a file.
        rejected: images that cannot be used, and why.
    """

    n_images: int
    missing: list[str]
    rejected: list[RejectedRow]


def write_report(report: ExtractionReport, store: Path) -> None:
    """Write the report into the folder of a store."""
    write_json(store / REPORT, asdict(report))


def read_report(store: Path) -> ExtractionReport:
    """The report of the run that wrote the store in this folder.

    Raises:
        EmocapError: there is none, or it is damaged.
    """
    where = Path(store) / REPORT
    fields = read_json(where)
    try:
        # Stores that were extracted before the key was renamed have `quarantined`.
        rows = fields["rejected"] if "rejected" in fields else fields["quarantined"]
        rejected = [RejectedRow(**row) for row in rows]
        return ExtractionReport(int(fields["n_images"]), list(fields["missing"]), rejected)
    except (KeyError, TypeError, ValueError) as error:
        raise EmocapError(f"{where}: damaged ({error}); extract the features again") from None


def log_rejected(report: ExtractionReport, prefix: str = "", consequence: str = "") -> None:
    """Log how many images are missing, with the `consequence`, and how many were rejected, with the first of each."""
    total = report.n_images + len(report.missing) + len(report.rejected)
    if report.missing:
        logger.warning(
            "%s%d of %d images are missing, such as %s%s",
            prefix, len(report.missing), total, report.missing[0], consequence,
        )  # fmt: skip
    if report.rejected:
        first = report.rejected[0]
        logger.warning(
            "%s%d of %d images rejected, such as %s: %s",
            prefix, len(report.rejected), total, first.where, first.reason,
        )  # fmt: skip


def require_described(report: ExtractionReport) -> None:
    """Refuse the outcome of a run in which no image could be used, though there were some.

    Raises:
        EmocapError: all images are missing or rejected; the first is named with its reason.
    """
    if report.n_images or not (report.missing or report.rejected):
        return
    total = len(report.missing) + len(report.rejected)
    if report.rejected:
        first = f"{report.rejected[0].where}: {report.rejected[0].reason}"
    else:
        first = f"{report.missing[0]}: no such image"
    raise EmocapError(f"none of {total:,} images can be used; the first: {first}")
