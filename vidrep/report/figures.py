"""The figures of the report, in its reading order: one declaration each.

To add a figure, write ``vidrep/report/<name>.py`` with a function ``draw``, and declare it here;
see ``vidrep.report.declaration``. Rule, report entry, command line and tests follow.
"""

from vidrep.report.declaration import Figure
from vidrep.report.selection import (
    aligned_videos,
    compared_families,
    data_sets,
    data_sets_and_measures,
    data_sets_with_flow,
    detecting_runs,
    embedded_sets,
    embedded_sets_and_first_measure,
    embeddings,
    families,
    first_measure,
    first_scores,
    flow_errors,
    followed_sets,
    generating_runs,
    generating_sets,
    histories,
    if_controls,
    if_few_labels,
    if_transfer,
    label_lines,
    lstm_runs,
    matched_runs,
    matched_sets,
    own_test_clips,
    sequences,
    single_label_sets,
    test_clips,
    test_flow,
    titles,
    trained_run,
    trained_sets,
    untrained_run,
    verdicts,
    version_sets,
)

FIGURES = [
    Figure(
        name="clips",
        title="clips of all data sets",
        chapter="Data",
        part="data",
        caption="""
The first test clips of every data set, frame by frame, with their label sets. Versions of moving
digits share start positions and directions of movement clip by clip, so what differs between rows
of one clip is what the version changes: shape or speed. Sequences follow a script of their own and
are longer.
""",
        inputs={"clips": test_clips},
        settings={"titles": titles},
    ),
    Figure(
        name="flow",
        title="optical flow",
        chapter="Data",
        part="data",
        caption="""
Optical flow of the first test clips: the generator's exact displacement and what estimators find
from the frames alone. Hue is the direction and saturation the length, both on the scale of the
wheel. Behind each estimator stands its mean end-point error on moving pixels of all test clips; no
flow at all has the error below the pictures, and an estimate that is not below it is worth nothing.
""",
        inputs={"errors": flow_errors},
        own_inputs={"clips": "<results>/datasets/{dataset}/test.h5", "flow": test_flow},
        settings={"titles": titles},
        per=("dataset",),
        of=data_sets_with_flow,
    ),
    Figure(
        name="learning",
        title="learning curves",
        chapter="Training",
        part="scores",
        caption="""
Loss and exact-set accuracy over the epochs. A clip counts as correct only if its whole label set
is. The weights that enter all other figures are those of the epoch with the best validation
score; systems with several training stages count epochs through all of them, so their curves may
jump. Arrow: the last quarter of the last stage still added more than a tenth of what its
validation score gained.
""",
        own_inputs={"histories": histories},
        settings={"titles": titles, "families": families},
        per=("dataset",),
        of=trained_sets,
    ),
    Figure(
        name="accuracy",
        title="accuracy of every system",
        chapter="Accuracy",
        part="scores",
        caption="""
Share of test clips whose whole label set is predicted, for systems tested on the version they were
trained on: by a threshold for each class, as published, and by the most probable of the label sets
that occur in training. Where the first lies at its floor, rank systems by the second, or by
``mean_average_precision`` in ``tables/accuracy.csv``. Test clips share neither digit images nor
trajectories with training. Filled: trained; open: the same network untrained; dashed line: always
answering the commonest label set of the training clips. Arrow: validation was still rising when
training ended (column converged of the table), so longer training might give more. Systems without
class scores are not listed: see the probes. For systems of several streams each stream and each way
of fusing them has a line.
""",
        inputs={"accuracy": "<results>/tables/accuracy.csv", "clips": test_clips},
        settings={"titles": titles, "families": families},
    ),
    Figure(
        name="transfer",
        title="transfer between data sets",
        chapter="Accuracy",
        part="scores",
        caption="""
Accuracy on every version (columns) after training on every version (rows), mean over seeds. The
diagonal is the accuracy on the version trained on. A row that fades off the diagonal shows that
the system relied on the cue that the other version lacks. A cell is absent where clips differ in
size, length, channels or classes from those trained on: such a run is not evaluated on them.
""",
        inputs={"accuracy": "<results>/tables/accuracy.csv", "clips": test_clips},
        settings={"titles": titles, "families": families},
        of=if_transfer,
    ),
    Figure(
        name="controls",
        title="does it use motion?",
        chapter="Accuracy",
        part="scores",
        caption="""
Accuracy on test clips whose time is broken, beside that on intact ones, for systems tested on the
version they were trained on: played backwards, frames in random order, the middle frame at every
time, and the middle frame alone with black before and after. Systems that are fed flow get the
flow of the manipulated clip. What frozen and single frames leave of the accuracy is owed to
appearance; what shuffling takes as well is owed to the order of frames, that is to motion. Labels
do not depend on the direction of time, so clips played backwards cost only what a system knows of
it. A drop alone is no proof, as broken clips are also unlike those of the training: read it
beside *speed only*, in which only motion tells the labels.
""",
        inputs={"accuracy": "<results>/tables/accuracy.csv", "clips": test_clips},
        settings={"titles": titles, "families": families},
        of=if_controls,
    ),
    Figure(
        name="few_labels",
        title="accuracy with few labels",
        chapter="Accuracy",
        part="scores",
        caption="""
Share of test clips whose whole label set is predicted, against the number of training clips whose
labels were used. Systems that are the same but for that number share a line, named after the
first of them in the experiment; a system without such a number uses the labels of all training
clips. The labelled clips are the same for all systems of a seed, balanced over classes, and fewer
are a subset of more. Dashed: always answering the commonest label set of the training clips.
Labels of validation clips chose the epoch, for all systems alike.
""",
        inputs={"accuracy": "<results>/tables/accuracy.csv", "clips": test_clips},
        settings={"titles": titles, "families": families, "lines": label_lines},
        of=if_few_labels,
    ),
    Figure(
        name="cost",
        title="accuracy against cost",
        chapter="Accuracy",
        part="scores",
        caption="""
Accuracy of the trained systems against multiply-accumulates per clip and against the number of
trainable parameters, both on logarithmic axes. Up and left is better.
""",
        inputs={
            "accuracy": "<results>/tables/accuracy.csv",
            "cost": "<results>/tables/cost.csv",
            "clips": test_clips,
        },
        settings={"titles": titles, "families": families},
    ),
    Figure(
        name="probes",
        title="probes by layer",
        chapter="Probes by layer",
        part="probes",
        caption="""
What a linear probe reads from each layer: one linear SVM per class tells whether the class is in
the clip, fitted on training clips and scored on test clips by balanced accuracy (chance 50 %).
Layers stand in depth order; all are projected on the same number of principal components, so that
width is no advantage. The distance between a system and its untrained baseline is what training
added. Raw pixels are shown as a system of their own.
""",
        inputs={
            "probes": "<results>/tables/probes.csv",
            "confusion": "<results>/tables/confusion.csv",
        },
        settings={"titles": titles, "families": families},
        per=("dataset",),
        of=data_sets,
    ),
    Figure(
        name="confusion",
        title="confusion of the probes",
        chapter="Probes: confusion",
        part="probes",
        caption="""
Binary confusion matrices of the linear probes on the embedding, one per class and system (first
seed). Rows: is the class in the clip; columns: the probe's answer. Counts as text, colours
normalised by row, so the lower right cell is the sensitivity and the upper left one the
specificity.
""",
        inputs={"confusion": "<results>/tables/confusion.csv"},
        settings={"titles": titles, "families": families},
        per=("dataset",),
        of=data_sets,
    ),
    Figure(
        name="class_confusion",
        title="confusion of classes",
        chapter="Answers: confusion",
        part="probes",
        caption="""
What the first run of each system answers on a data set whose clips have one label each: rows are
the classes of clips, columns the answers, colours shares of a row. Above each matrix the share of
clips that are right and the mean of that share over classes, which counts rare classes as much as
common ones.
""",
        own_inputs={"scores": first_scores, "clips": own_test_clips},
        settings={"titles": titles, "families": families},
        per=("dataset",),
        of=single_label_sets,
    ),
    Figure(
        name="projections",
        title="embeddings in the plane",
        chapter="Embeddings",
        part="projections",
        caption="""
Embeddings of test clips in the plane. PCA and LDA are fitted on clips of the training split and
then applied to the test clips shown, so that LDA cannot show separation that it has only
memorised. t-SNE is computed from the shown clips. All three start from the leading principal
components of the fitting clips. Each method is shown twice, coloured by the smaller and by the
larger class of the clip's label set.
""",
        own_inputs={"stores": embeddings},
        settings={"titles": titles},
        per=("dataset",),
        of=embedded_sets,
    ),
    Figure(
        name="similarity",
        title="embeddings of all runs",
        chapter="Similarity of runs",
        part="similarity",
        caption="""
Similarity of the embeddings of all runs on one evaluation set: every system, trained on every
version with every seed, and the untrained baselines (italic). Rows and columns are ordered by the
dendrogram (average linkage). Compare every difference with that between two seeds of one system
on one version: it is the noise of training.

The embedding of a run is its last layer; of a two-stream network, both streams joined.
""",
        inputs={"verdicts": verdicts},
        own_inputs={"table": "<results>/similarity/{dataset}/{measure}.csv"},
        settings={"titles": titles, "families": compared_families},
        per=("dataset", "measure"),
        of=data_sets_and_measures,
    ),
    Figure(
        name="layers",
        title="layer against layer",
        chapter="Similarity of layers",
        part="similarity",
        caption="""
Every layer of every system trained on the evaluation set against every other layer. Blocks on the
diagonal show how a system's representation changes with depth; bright stripes off the diagonal
show at which depth two systems agree.
""",
        inputs={"verdicts": verdicts},
        own_inputs={"table": "<results>/similarity/{dataset}/{measure}.csv"},
        settings={"titles": titles, "families": compared_families},
        per=("dataset", "measure"),
        of=embedded_sets_and_first_measure,
    ),
    Figure(
        name="map",
        title="map and tree",
        chapter="Similarity of systems",
        part="similarity",
        caption="""
Which systems form families? Embeddings of all runs on one evaluation set, by the distances
between them (the angle whose cosine is the similarity). Left, in the plane: colour is the system,
shape the data set trained on, hexagons are untrained baselines and raw pixels, lines join seeds.
Few distances fit into a plane, so the stress tells how far to trust it. Right, the tree. How far
both depend on the choice of clips is told by 100 random halves of the clips, drawn without
replacement, since a clip drawn twice would be like itself and bias every measure: ellipses hold
95 % of a run's places, numbers are the share of halves in whose tree the same branch recurs. Half
of the clips is the share that spreads as all clips do.

The tree of *Similarity of runs* is made of 1 − similarity instead of the angle and may differ in
detail.
""",
        inputs={"verdicts": verdicts},
        own_inputs={
            "places": "<results>/similarity_analysis/{dataset}/places.csv",
            "branches": "<results>/similarity_analysis/{dataset}/branches.csv",
        },
        settings={"titles": titles, "families": families, "measure": first_measure},
        per=("dataset",),
        of=data_sets,
    ),
    Figure(
        name="variance_shares",
        title="what explains it",
        chapter="Similarity of systems",
        part="similarity_analysis",
        caption="""
Do architecture, objective or the data trained on explain which trained systems are alike? Squared
distances between embeddings are partitioned as variance is (PERMANOVA). Seeds are averaged first,
so that a system counts once for each data set. A factor that follows from another one, as the
objective does where each family has one, explains nothing that the other does not. p values
exchange whole systems, or data sets within a system; with few systems they cannot be small: of
six systems of which one has another objective, one exchange in six does as well. Adjusted shares
and the p values of what a factor alone explains stand in ``tables/variance_shares.csv``; whether
systems relate alike on other evaluation sets, in ``tables/agreement.csv``.
""",
        inputs={"shares": "<results>/tables/variance_shares.csv", "verdicts": verdicts},
        settings={"titles": titles},
    ),
    Figure(
        name="layer_matches",
        title="best matching layers",
        chapter="Best matching layers",
        part="similarity_analysis",
        caption="""
For each layer of one system (row) the most similar layer of another one (column), on the
evaluation set on which both were trained. A rising colour along a curve means that the two
systems compute alike in the same order; a single colour, that one layer of the other system is
the best match of all. **The best of several layers looks more alike than it is**, since chance
helps to choose it and the interval does not know of the choice: the dashed line, the layer at
equal relative depth, is free of that. The panel of a system with itself compares two seeds.
""",
        inputs={"matches": "<results>/tables/layer_matches.csv", "verdicts": verdicts},
        settings={"titles": titles, "families": families},
        per=("dataset",),
        of=matched_sets,
    ),
    Figure(
        name="versions",
        title="layers after training on different data",
        chapter="Other training data",
        part="similarity_analysis",
        caption="""
The same system, trained on different data, on the same clips: how alike are its layers? Read each
curve between two others. The ceiling (grey band) is how alike two runs on the same data are that
differ in their seed alone, where a system has two seeds. The untrained baseline (dashed) tells
what the common initial weights bring: two runs that are no more alike than each is to its
baseline share little that they have learnt. Runs of one seed start from the same weights; dotted
lines compare runs of different seeds, as the ceiling does.
""",
        inputs={"versions": "<results>/tables/versions.csv", "verdicts": verdicts},
        settings={"titles": titles, "families": families},
        per=("dataset",),
        of=version_sets,
    ),
    Figure(
        name="training_time",
        title="layers in the course of training",
        chapter="Layers in training",
        part="similarity_analysis",
        caption="""
How the layers of a system change while it is trained. Each line is one layer, compared with
itself at the end of training on the same test clips: where it comes near its largest value, the
layer has taken its final form. Whether layers near the input settle first (Raghu et al. 2017) can
be read off the order of the lines. A layer whose line starts high had little to learn, or is
similar to its initial weights for want of training: compare with the accuracy of the run.
""",
        inputs={"training_time": "<results>/tables/training_time.csv", "verdicts": verdicts},
        settings={"titles": titles, "families": families},
        per=("dataset",),
        of=followed_sets,
    ),
    Figure(
        name="functional",
        title="answers of runs, and heads on each other's features",
        chapter="Answers of runs",
        part="similarity_analysis",
        caption="""
What trained runs do with what they represent, on the same test clips. Left: do they answer alike
(Cohen's kappa, 0 by chance)? Right: each run's own head on the features of every other run,
mapped onto its own by ridge regression fitted on training clips. A bright row is a run whose
features serve many heads; a bright column a head that many runs can feed. The right matrix need
not be symmetric.

Compare with the accuracy of the runs themselves: two poor runs can agree by erring together
(`error_consistency` in `functional_similarity/<version>.csv`, which also has intervals, chance
levels and untrained baselines).
""",
        own_inputs={"table": "<results>/functional_similarity/{dataset}.csv"},
        settings={"titles": titles, "families": families},
        per=("dataset",),
        of=data_sets,
    ),
    Figure(
        name="generation",
        title="reconstructions and predictions",
        chapter="Generation",
        part="generation",
        caption="""
What a system that generates frames makes of test clips: its reconstruction of the frames it has
seen (left) and its prediction of those that follow (right), under the truth. Networks that are
shown masked clips have the input as they saw it above the reconstruction. Networks that predict
by moving pixels have their motion below, and under it the generator's exact flow, which marks
every pixel where it comes from.
""",
        own_inputs={"frames": "<results>/generation/{dataset}/{system}/seed{seed}.h5"},
        settings={"titles": titles},
        per=("dataset", "system"),
        of=generating_runs,
    ),
    Figure(
        name="generation_animation",
        title="reconstructions and predictions, animated",
        chapter="Generation",
        part="generation",
        caption="""
Test clips as they run, and what the system generates from them: grey edges while it sees the clip
and gives it back, orange edges when it predicts. Columns: the true clip; the clip as the network
saw it, for networks that are shown masked clips; what it generates, grey where it generates
nothing. Pixels are enlarged, not smoothed. The animation lies as WebP beside the page.
""",
        own_inputs={"frames": "<results>/generation/{dataset}/{system}/seed{seed}.h5"},
        settings={"titles": titles},
        per=("dataset", "system"),
        of=generating_runs,
        suffixes=("html", "webp"),
        folder="generation",
    ),
    Figure(
        name="prediction",
        title="scores of predicted frames",
        chapter="Generation",
        part="scores",
        caption="""
How far generated frames are from the true ones, frame by frame: squared error, summed over the
pixels of a frame (its axis is logarithmic), and structural similarity. The bar parts the frames
that a system has seen, and reconstructs, from those that it predicts. Grey lines are predictors
that have learnt nothing: a black screen, the last input repeated, the mean training frame, half-way
between these two, the mean training frame of each time, the mean of the inputs; and the true frames
blurred by 1 px, near which a prediction is in the right place and only unsharp. The digits being
small on a black ground, a black screen has a small error and a high similarity, so a system is read
against these, and **one that does not clearly beat them all, by 5 % of their error, is marked as
failing** (✗; intervals in ``tables/prediction_verdict.csv``). It must also beat its own predictions
given to other clips: a network that draws the same picture for every clip does not predict. Thin
lines are untrained baselines. ``tables/prediction.csv`` has further scores, and how many clips each
run has seen in training: short runs and those of published tables, with millions of clips, do not
compare.
""",
        inputs={
            "prediction": "<results>/tables/prediction.csv",
            "verdicts": "<results>/tables/prediction_verdict.csv",
            "clips": test_clips,
        },
        settings={"titles": titles, "families": families},
        per=("dataset",),
        of=generating_sets,
    ),
    Figure(
        name="features",
        title="features learnt",
        chapter="Generation",
        part="features",
        caption="""
What an LSTM encoder and its decoders have learnt. Tiles: input weights of the four gates and
output weights of the decoders, strongest units first. Below, the prediction carried on for 100
frames, by the trained network and by its untrained baseline, with the energy of the differences
between neighbouring frames.
""",
        own_inputs={
            "trained": trained_run,
            "untrained": untrained_run,
            "test": "<results>/datasets/{dataset}/test.h5",
        },
        settings={"titles": titles},
        per=("dataset", "system"),
        of=lstm_runs,
        runs_network=True,
    ),
    Figure(
        name="detection",
        title="activities detected",
        chapter="Detection",
        part="detection",
        caption="""
Temporal activity detection in untrimmed videos, in which one activity happens once or twice
between stretches of background. A frozen run turns every clip into features; an LSTM (or, for
comparison, a softmax on each clip for itself) says how likely the clip is background. Left, a few
test videos: the smoothed activity curve with the threshold alpha, and below it the true segments
and the detected ones, with their class and score (hatched: a wrong class). Right: mean average
precision against the temporal overlap that a detection must have with the truth, and for every
threshold and mean filter that was tried.
""",
        own_inputs={
            "detections": "<results>/detection/{dataset}--{system}--seed{seed}.json",
            "probabilities": "<results>/detection/{dataset}--{system}--seed{seed}.npz",
            "scores": "<results>/detection/{dataset}--{system}--seed{seed}.csv",
        },
        settings={"titles": titles},
        per=("dataset", "system"),
        of=detecting_runs,
    ),
    Figure(
        name="alignment",
        title="alignment of sequences",
        chapter="Alignment",
        part="alignment",
        caption="""
How well the embeddings of frames tell where in their common script the videos are. Order
(Kendall's tau) and misalignment compare all pairs of test videos by nearest neighbours, without
labels; progression, phase and digit are read from the embeddings with labels. An embedding that
knows the process but not the digit is right on phases and at chance on digits. The number of a
frame is always in order and still misaligned, because every video has its own pace.
""",
        inputs={"alignment": "<results>/tables/alignment.csv"},
        settings={"titles": titles, "families": families, "videos": aligned_videos},
        per=("dataset",),
        of=sequences,
    ),
    Figure(
        name="matches",
        title="matched videos",
        chapter="Alignment",
        part="matches",
        caption="""
Test videos, and of other videos the frames that the run's embedding holds for the same moment of
the script. The coloured bars show the true phases, so equal colours below each other are right.
""",
        own_inputs={"matches": "<results>/alignment/{dataset}/{dataset}--{system}--seed{seed}.h5"},
        settings={"titles": titles},
        per=("dataset", "system"),
        of=matched_runs,
    ),
    Figure(
        name="matches_animation",
        title="matched videos, animated",
        chapter="Alignment",
        part="matches",
        caption="""
The same as they run: each test video on the left, and beside it, of other videos, the frame that
the run's embedding holds for the same moment. A bar is as long as the true share of the script
that has passed in the frame above it, its colour is the true phase. Pixels are enlarged, not
smoothed. The animation lies as WebP beside the page.
""",
        own_inputs={"matches": "<results>/alignment/{dataset}/{dataset}--{system}--seed{seed}.h5"},
        settings={"titles": titles},
        per=("dataset", "system"),
        of=matched_runs,
        suffixes=("html", "webp"),
        folder="matches",
    ),
]
