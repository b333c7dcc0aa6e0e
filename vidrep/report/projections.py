"""Embeddings in two dimensions: PCA, LDA and t-SNE, coloured by the labels of a clip.

PCA and LDA are fitted on fitting clips and applied to the test clips that are shown; an LDA shown
on the clips it was fitted on overstates how well classes separate. t-SNE has no such step and is
made of the shown clips. All start from the same principal components of the fitting clips.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from vidrep.activations.store import open_store, read_labels, read_layer
from vidrep.report.style import broken, class_colours, new_figure

_SHOWN = 200  # test clips
COMPONENTS = 30  # principal components that LDA and t-SNE start from
_TSNE_STEPS = 350
_WIDE = 1000  # features from which leading components are found by random projection
_PITCH = 1.08  # from one scatter to the next, in widths of a scatter
METHODS = ("PCA", "LDA", "t-SNE")


@dataclass(frozen=True)
class Embedding:
    """An embedding to be shown.

    Attributes:
        name: of the system.
        fit, shown: (m, D) and (n, D) features of fitting clips and of test clips.
        fit_slots, shown_slots: (m, slots) and (n, slots) class numbers, see ``label_slots``.
    """

    name: str
    fit: np.ndarray
    fit_slots: np.ndarray
    shown: np.ndarray
    shown_slots: np.ndarray


def draw(stores: list[Path], titles: dict[str, str], dataset: str) -> Figure:
    """The figure of one evaluation set; see its declaration."""
    classes = open_store(stores[0]).attrs["classes"]
    return projection_figure(list(map(read_embedding, stores)), titles[dataset], classes)


def read_embedding(store: Path) -> Embedding:
    """The last layer of a store with the labels of its clips; the first test clips."""
    attrs = open_store(store).attrs
    *_, layer = attrs["layers"]
    fit_labels = read_labels(store, "fit")
    shown_labels = read_labels(store)
    return Embedding(
        name=attrs["system"],
        fit=read_layer(store, layer, "fit"),
        fit_slots=label_slots(fit_labels),
        shown=read_layer(store, layer)[:_SHOWN],
        shown_slots=label_slots(shown_labels)[:_SHOWN],
    )


def label_slots(labels: np.ndarray) -> np.ndarray:
    """The smallest and the largest class of each clip, (n, 2), or its only class, (n, 1).

    Args:
        labels: (n, classes) multi-hot; every clip has a label.
    """
    first = labels.argmax(1)
    most = labels.sum(1).max(initial=1)
    if most <= 1:
        return first[:, None]
    from_the_end = labels[:, ::-1].argmax(1)
    last = labels.shape[1] - 1 - from_the_end
    return np.stack([first, last], axis=1)


def slot_names(slots: int) -> tuple[str, ...]:
    """What the slots are called."""
    return ("smaller class", "larger class") if slots == 2 else ("class",)


def project(embedding: Embedding) -> dict[tuple[str, int], np.ndarray]:
    """The shown clips in the plane, (n, 2), for each method and label slot.

    Only LDA depends on the slot.
    """
    count = min(COMPONENTS, *embedding.fit.shape)
    solver = "full" if embedding.fit.shape[1] < _WIDE else "randomized"
    # one thread: sums in one order; a dead layer has no variance
    with threadpool_limits(1), np.errstate(invalid="ignore"):
        pca = PCA(count, svd_solver=solver, random_state=0)
        pca.fit(embedding.fit)
        fit = pca.transform(embedding.fit)
        shown = pca.transform(embedding.shown)
        neighbours = neighbour_map(shown)
        result = {}
        for slot in range(embedding.shown_slots.shape[1]):
            result["PCA", slot] = _plane(shown)
            result["LDA", slot] = discriminants(fit, embedding.fit_slots[:, slot], shown)
            result["t-SNE", slot] = neighbours
    return result


def neighbour_map(points: np.ndarray) -> np.ndarray:
    """t-SNE of points (n, d) in the plane, (n, 2), started from their first two coordinates."""
    leading = _plane(points)
    spread = max(leading[:, 0].std(), 1e-12)
    start = (1e-4 * leading / spread).astype(np.float32)
    perplexity = min(30.0, max(1.0, (len(points) - 1) / 3))
    tsne = TSNE(2, perplexity=perplexity, init=start, max_iter=_TSNE_STEPS, random_state=0)
    return tsne.fit_transform(points.astype(np.float32))


def discriminants(fit: np.ndarray, classes: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """The first two linear discriminants of ``shown``, (n, 2), fitted on ``fit`` alone."""
    if len(np.unique(classes)) < 2:
        return np.zeros((len(shown), 2))
    lda = LinearDiscriminantAnalysis().fit(fit, classes)
    return _plane(lda.transform(shown))


def _plane(points: np.ndarray) -> np.ndarray:
    """The first two columns, filled up with zeros."""
    missing = max(0, 2 - points.shape[1])
    return np.pad(points[:, :2], ((0, 0), (0, missing)))


def projection_figure(embeddings: list[Embedding], dataset: str, classes: list[str]) -> Figure:
    """A column per system, a row per method and label slot.

    Args:
        embeddings: what is shown.
        dataset: the evaluation set.
        classes: names of the classes.
    """
    first, *_ = embeddings
    names = slot_names(first.shown_slots.shape[1])
    lines = [(method, slot) for method in METHODS for slot in range(len(names))]
    shown = len(first.shown)
    fitted = len(first.fit)
    note = (
        f"{shown:,} test clips. PCA and LDA are fitted on {fitted:,} other clips, LDA on the label"
        " that colours its row; t-SNE is made of the shown clips. Axes have no unit: only"
        " neighbourhood counts, and in t-SNE distances between groups do not."
    )
    title = f"Embeddings of {dataset} clips in the plane, first seed of each system"
    figure = new_figure(
        1.3 + 1.35 * len(lines),
        width=max(6.5, 1.4 + 1.42 * len(embeddings)),
        title=title,
        note=note,
    )
    rows = figure.subplots(len(lines), 1)
    planes = [project(embedding) for embedding in embeddings]
    for axes, (method, slot) in zip(rows, lines, strict=True):
        points = [plane[method, slot] for plane in planes]
        colours = [item.shown_slots[:, slot] for item in embeddings]
        plot_row(points, colours, axes, classes=len(classes))
        axes.set_ylabel(f"{method}\n{names[slot]}")
    shown_as = [broken(embedding.name, 21) for embedding in embeddings]
    rows[0].set_xticks(_PITCH * np.arange(len(embeddings)) + 0.5, shown_as)
    rows[0].tick_params(labeltop=True, labelsize=8.5)
    handles = _class_handles(classes)
    columns = 1 + len(handles) // 25
    figure.legend(handles=handles[:40], title="class", loc="outside right upper", ncols=columns)
    return figure


def _class_handles(classes: list[str]) -> list[Line2D]:
    colours = class_colours(len(classes))
    return [
        Line2D([], [], color=colour, marker="o", ls="", ms=4, label=name)
        for colour, name in zip(colours, classes, strict=True)
    ]


def plot_row(
    planes: list[np.ndarray],
    classes_shown: list[np.ndarray],
    axes: Axes,
    *,
    classes: int,
) -> Axes:
    """Scatters side by side, each stretched to a box of its own.

    Args:
        planes: points (n, 2) of each scatter.
        classes_shown: their class numbers (n,).
        axes: where to draw.
        classes: number of classes.
    """
    boxes = []
    for i, plane in enumerate(planes):
        box = _unit_box(plane)
        boxes.append(box + np.array([_PITCH * i, 0]))
    points = np.concatenate(boxes)
    palette = np.asarray(class_colours(classes))
    colours = palette[np.concatenate(classes_shown)]
    axes.scatter(points[:, 0], points[:, 1], c=colours, s=5, lw=0, alpha=0.85, rasterized=True)
    for i in range(len(planes)):
        axes.add_patch(Rectangle((_PITCH * i, 0), 1, 1, fill=False, ec="#bbbbbb", lw=0.6))
    right = _PITCH * (len(planes) - 1) + 1
    axes.set(xticks=[], yticks=[], xlim=(-0.01, right + 0.01), ylim=(-0.02, 1.02))
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[:].set_visible(False)
    return axes


def _unit_box(points: np.ndarray) -> np.ndarray:
    """Points (n, 2) stretched to fill the unit square up to a margin."""
    low = points.min(0)
    high = points.max(0)
    span = np.maximum(high - low, 1e-12)
    return 0.05 + 0.9 * (points - low) / span
