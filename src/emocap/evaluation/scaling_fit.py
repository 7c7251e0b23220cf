"""Fitting Platt scaling: one slope and offset for all emotions, or those of each emotion.

Those of each emotion are drawn towards the common ones by a ridge penalty, since a rare emotion has few positives among
the validation pairs; the common ones are drawn towards no change. A slope turns the logits about that of the emotion's
mean probability, so that an overconfident model gets lower contrast and the same mean: about 0, one slope for all would
lower a frequent emotion and raise the rare ones. Left out, since they were no better on Socratis: one
temperature (Guo et al. 2017), and beta calibration (Kull et al. 2017) and isotonic regression, common or per emotion
(docs/LOG.md).
"""

import numpy as np

from emocap.training.platt_scaling import PlattScaling, logits_of

SLOPES = (0.05, 20.0)
COMMON_RIDGE = 1.0
STEPS, HALVINGS, TOLERANCE = 50, 20, 1e-8


def cross_entropy(logits: np.ndarray, truth: np.ndarray) -> float:
    """Mean binary cross-entropy of logits and truth of one shape, in nats."""
    return float((np.logaddexp(0, logits) - truth * logits).mean())


def common_scaling(logits: np.ndarray, truth: np.ndarray, n_groups: int) -> PlattScaling:
    """One slope about each emotion's mean probability, and one shift of its logits, for all emotions.

    Args:
        logits: (N, E) float64, finite.
        truth: (N, E) bool.
        n_groups: number of images, as which the N pairs count against the penalty.
    """
    centres = mean_logits(logits)
    return _about(centres, _common(logits, truth, centres, n_groups))


def scaling_per_emotion(logits: np.ndarray, truth: np.ndarray, n_groups: int, ridge: float) -> PlattScaling:
    """A slope and a shift for each emotion, drawn towards the common ones.

    Args:
        logits: (N, E) float64, finite.
        truth: (N, E) bool.
        n_groups: number of images, as which the N pairs count against the penalty.
        ridge: minimised is the summed cross-entropy plus half of this times the squared distance to the common slope
            and shift; the higher, the nearer to them.
    """
    centres = mean_logits(logits)
    common = _common(logits, truth, centres, n_groups)
    return _about(centres, _newton(logits, truth, centres, common, ridge, n_groups / len(logits)))


def mean_logits(logits: np.ndarray) -> np.ndarray:
    """(E,) logit of each emotion's mean probability, from logits (N, E)."""
    return logits_of(np.exp(-np.logaddexp(0, -logits)).mean(axis=0))


def _common(logits: np.ndarray, truth: np.ndarray, centres: np.ndarray, n_groups: int) -> np.ndarray:
    """(2, E) slopes and shifts, the same for all emotions."""
    of_cells = np.broadcast_to(centres, logits.shape).reshape(-1, 1)
    start, weight = np.array([[1.0], [0.0]]), n_groups / len(logits)
    found = _newton(logits.reshape(-1, 1), truth.reshape(-1, 1), of_cells, start, COMMON_RIDGE, weight)
    return np.repeat(found, logits.shape[1], axis=1)


def _about(centres: np.ndarray, point: np.ndarray) -> PlattScaling:
    """Slopes about centres, and shifts, as slopes and offsets."""
    slopes, shifts = point
    return PlattScaling(slopes, shifts + (1 - slopes) * centres)


def _newton(
    logits: np.ndarray, truth: np.ndarray, centres: np.ndarray, prior: np.ndarray, ridge: float, weight: float
) -> np.ndarray:
    """(2, E) slopes and shifts of lowest penalised cross-entropy, each column for itself, by Newton's method.

    A step that raises a column's loss is halved there. Slopes are within `SLOPES`.

    Args:
        centres: (E,) or (N, E); scaled are the distances of the logits to them.
        prior: (2, E) slopes and shifts that the penalty draws to, and where the search starts.
        weight: of each row.
    """

    away = logits - centres

    def losses(point: np.ndarray) -> np.ndarray:
        scaled = away * point[0] + point[1] + centres
        fit = (np.logaddexp(0, scaled) - truth * scaled).sum(axis=0) * weight
        return np.asarray(fit + ridge / 2 * ((point - prior) ** 2).sum(axis=0))

    point = prior.copy()
    loss = losses(point)
    for _ in range(STEPS):
        p = np.exp(-np.logaddexp(0, -(away * point[0] + point[1] + centres)))
        error, variance = weight * (p - truth), weight * p * (1 - p)
        gradient = np.stack([(error * away).sum(axis=0), error.sum(axis=0)]) + ridge * (point - prior)
        of_slope, of_offset = (variance * away**2).sum(axis=0) + ridge, variance.sum(axis=0) + ridge
        both = (variance * away).sum(axis=0)
        inverse = np.stack([of_offset * gradient[0] - both * gradient[1], of_slope * gradient[1] - both * gradient[0]])
        step = inverse / (of_slope * of_offset - both**2)
        for _ in range(HALVINGS):
            worse = losses(point - step) > loss
            if not worse.any():
                break
            step[:, worse] /= 2
        point -= np.where(losses(point - step) > loss, 0.0, step)
        loss = losses(point)
        if np.abs(step).max(initial=0) < TOLERANCE:
            break
    point[0] = np.clip(point[0], *SLOPES)
    return point
