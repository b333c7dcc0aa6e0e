"""Per-class linear SVMs on a representation: is "this class occurs in the clip" linearly readable?

The protocol of the public comparison framework of 2018-2020: one binary LinearSVC a class (at most
1,000 iterations, tolerance 1e-3), its C chosen by cross-validated balanced accuracy on the fitting
clips, scored by balanced accuracy on other clips, whose chance level is 0.5.

Ours: one number scales all of a representation, so that C means the same for all (the reference
left features as they are); and as a wide layer has more room to separate few clips, features can
first be projected on a fixed number of principal components of the fitting clips.
"""

import warnings
from dataclasses import dataclass
from itertools import product

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.svm import LinearSVC

from vidrep.activations.store import open_store, read_groups, read_labels, read_layer

MAX_ITERATIONS = 1000
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Protocol:
    """How probes are fitted.

    Attributes:
        c: candidate values of C.
        folds: folds of the cross-validation that chooses C.
        components: principal components the features are projected on; None keeps the features.
    """

    c: tuple[float, ...]
    folds: int
    components: int | None


@dataclass(frozen=True)
class ProbeResult:
    """One class probed in one representation.

    Attributes:
        balanced_accuracy: on the test clips, in [0, 1]; NaN when they lack one of the two answers.
        c: the chosen C.
        confusion: (2, 2) counts, rows truth (absent, present), columns prediction.
    """

    balanced_accuracy: float
    c: float
    confusion: np.ndarray


def principal_components(
    fit: np.ndarray, test: np.ndarray, count: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets of features (n, d) as float64 on principal components of ``fit``.

    There are ``count`` of them; None keeps the features.
    """
    fit = fit.reshape(len(fit), -1).astype(np.float64)
    test = test.reshape(len(test), -1).astype(np.float64)
    if count is None or count >= min(fit.shape):
        return fit, test
    narrow = fit.shape[1] <= 2 * len(fit)
    pca = PCA(count, svd_solver="covariance_eigh" if narrow else "full").fit(fit)
    return pca.transform(fit), pca.transform(test)


def unit_variance(fit: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets of features (n, d) divided by one number.

    Those of ``fit`` then have a mean variance of 1.

    C then means the same for all representations; without it, layers of small activations
    (untrained baselines above all) are always answered with "no". Features keep their relative
    sizes. A constant representation stays as it is.
    """
    size = np.sqrt(fit.var(axis=0).mean())
    if not size > 0:
        return fit, test
    return fit / size, test / size


def probe_class(
    fit: np.ndarray,
    fit_present: np.ndarray,
    test: np.ndarray,
    test_present: np.ndarray,
    protocol: Protocol,
    groups: np.ndarray | None = None,
) -> ProbeResult:
    """Probe one class.

    Args:
        fit, test: (n, d) float64 features of the fitting and of the test clips.
        fit_present, test_present: (n,) bool, does the class occur in the clip.
        protocol: see ``Protocol``.
        groups: (n,) what each fitting clip shares with others; None where they are independent.

    Returns:
        The result; NaN when a side has fewer clips with or without the class than there are folds.
    """
    fewest = min(fit_present.sum(), (~fit_present).sum())
    if fewest < protocol.folds or test_present.all() or not test_present.any():
        return ProbeResult(float("nan"), float("nan"), np.zeros((2, 2), int))
    c = best_c(fit, fit_present, protocol, groups)
    predicted = _svm(fit, fit_present, c).predict(test)
    accuracy = balanced_accuracy_score(test_present, predicted)
    counts = confusion_matrix(test_present, predicted, labels=[False, True])
    return ProbeResult(float(accuracy), c, counts)


def best_c(
    fit: np.ndarray, present: np.ndarray, protocol: Protocol, groups: np.ndarray | None = None
) -> float:
    """The value of C with the largest mean balanced accuracy on held-out folds.

    Folds hold whole groups; the first value, where the groups do not let every fold be tried.
    """
    if len(protocol.c) == 1:
        return protocol.c[0]
    folds = _folds(fit, present, protocol.folds, groups)
    if not folds:
        return protocol.c[0]
    scores = []
    for c in protocol.c:
        scores.append(np.mean([_held_out(fit, present, fold, c) for fold in folds]))
    return protocol.c[int(np.argmax(scores))]


def _folds(
    fit: np.ndarray, present: np.ndarray, count: int, groups: np.ndarray | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit on and rows held out, fold by fold; none where a side would lack an answer."""
    if groups is None:
        return list(StratifiedKFold(count).split(fit, present))
    if len(np.unique(groups)) < count:
        return []
    folds = list(StratifiedGroupKFold(count).split(fit, present, groups))
    sides = [present[rows] for fold in folds for rows in fold]
    return folds if all(side.any() and not side.all() for side in sides) else []


def probe_layer(
    fit: np.ndarray,
    fit_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    protocol: Protocol,
    groups: np.ndarray | None = None,
) -> list[ProbeResult]:
    """Probe every class in one representation.

    Args:
        fit, test: (n, ...) activations of the fitting and of the test clips.
        fit_labels, test_labels: (n, classes) bool.
        protocol: see ``Protocol``.
        groups: (n,) what each fitting clip shares with others; None where they are independent.

    Returns:
        One result a class.
    """
    fit, test = unit_variance(*principal_components(fit, test, protocol.components))
    return [
        probe_class(fit, fit_labels[:, index], test, test_labels[:, index], protocol, groups)
        for index in range(fit_labels.shape[1])
    ]


def probe_store(store: str, protocol: Protocol) -> list[tuple]:
    """Probe a run on one evaluation set.

    All its layers on the data set it was made for, its embedding on any other.

    Args:
        store: activation store (.zarr.zip).
        protocol: see ``Protocol``.

    Returns:
        Rows (layer, factor, truth, predicted, count).
    """
    attrs = open_store(store).attrs
    fit_labels = read_labels(store, "fit")
    test_labels = read_labels(store)
    groups = read_groups(store, "fit")
    counts = []
    made_for = attrs["evaluated_on"] == attrs["dataset"]
    for layer in attrs["layers"] if made_for else attrs["layers"][-1:]:
        results = probe_layer(
            read_layer(store, layer, "fit"),
            fit_labels,
            read_layer(store, layer),
            test_labels,
            protocol,
            groups,
        )
        for name, result in zip(attrs["classes"], results, strict=True):
            for truth, predicted in product((0, 1), repeat=2):
                count = int(result.confusion[truth, predicted])
                counts.append((layer, f"class_{name}", truth, predicted, count))
    return counts


def _held_out(features: np.ndarray, present: np.ndarray, fold: tuple, c: float) -> float:
    """Balanced accuracy on the clips that a fold leaves out."""
    train, held_out = fold
    fitted = _svm(features[train], present[train], c)
    return balanced_accuracy_score(present[held_out], fitted.predict(features[held_out]))


def _svm(features: np.ndarray, present: np.ndarray, c: float) -> LinearSVC:
    # the protocol stops at 1,000 iterations whether or not the optimum is reached
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        primal = features.shape[1] < features.shape[0]
        svm = LinearSVC(
            C=c, dual=not primal, max_iter=MAX_ITERATIONS, tol=TOLERANCE, random_state=0
        )
        return svm.fit(features, present)
