"""Fitting Platt scaling: one slope and offset for all emotions, or those of each emotion.

Those of each emotion are drawn towards the common ones by a ridge penalty, since a rare emotion has few positives among
the validation pairs; the common ones are drawn towards no change. Left out, since they were no better on Socratis: one
temperature (Guo et al. 2017), and beta calibration (Kull et al. 2017) and isotonic regression, common or per emotion
(docs/LOG.md).
"""

import numpy as np

from emocap.training.platt_scaling import PlattScaling

SLOPES = (0.05, 20.0)
COMMON_RIDGE = 1.0
STEPS, HALVINGS, TOLERANCE = 50, 20, 1e-8


def cross_entropy(logits: np.ndarray, truth: np.ndarray) -> float:
    """Mean binary cross-entropy of logits and truth of one shape, in nats."""
    return float((np.logaddexp(0, logits) - truth * logits).mean())


def common_scaling(logits: np.ndarray, truth: np.ndarray, n_groups: int) -> PlattScaling:
    """One slope and one offset for all emotions.

    Args:
        logits: (N, E) float64, finite.
        truth: (N, E) bool.
        n_groups: number of images, as which the N pairs count against the penalty.
    """
    n_labels = logits.shape[1]
    prior = np.array([[1.0], [0.0]])
    slope, offset = _newton(logits.reshape(-1, 1), truth.reshape(-1, 1), prior, COMMON_RIDGE, n_groups / len(logits))
    return PlattScaling(np.full(n_labels, slope[0]), np.full(n_labels, offset[0]))


def scaling_per_emotion(logits: np.ndarray, truth: np.ndarray, n_groups: int, ridge: float) -> PlattScaling:
    """A slope and an offset for each emotion, drawn towards the common ones.

    Args:
        logits: (N, E) float64, finite.
        truth: (N, E) bool.
        n_groups: number of images, as which the N pairs count against the penalty.
        ridge: minimised is the summed cross-entropy plus half of this times the squared distance to the common slope
            and offset; the higher, the nearer to them.
    """
    common = common_scaling(logits, truth, n_groups)
    return PlattScaling(
        *_newton(logits, truth, np.stack([common.slopes, common.offsets]), ridge, n_groups / len(logits))
    )


def _newton(
    logits: np.ndarray, truth: np.ndarray, prior: np.ndarray, ridge: float, weight: float
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and offsets (E,) of lowest penalised cross-entropy, each column for itself, by Newton's method.

    A step that raises a column's loss is halved there. Slopes are within `SLOPES`.

    Args:
        prior: (2, E) slopes and offsets that the penalty draws to, and where the search starts.
        weight: of each row.
    """

    def losses(point: np.ndarray) -> np.ndarray:
        scaled = logits * point[0] + point[1]
        fit = (np.logaddexp(0, scaled) - truth * scaled).sum(axis=0) * weight
        return np.asarray(fit + ridge / 2 * ((point - prior) ** 2).sum(axis=0))

    point = prior.copy()
    loss = losses(point)
    for _ in range(STEPS):
        p = np.exp(-np.logaddexp(0, -(logits * point[0] + point[1])))
        error, variance = weight * (p - truth), weight * p * (1 - p)
        gradient = np.stack([(error * logits).sum(axis=0), error.sum(axis=0)]) + ridge * (point - prior)
        of_slope, of_offset = (variance * logits**2).sum(axis=0) + ridge, variance.sum(axis=0) + ridge
        both = (variance * logits).sum(axis=0)
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
    return np.clip(point[0], *SLOPES), point[1]
