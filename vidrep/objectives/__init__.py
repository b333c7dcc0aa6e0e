"""Objectives: what a model is trained for.

Each owns the model, its heads or decoders, and the loss. An objective is a torch module with

* ``model``: the network whose activations are extracted later;
* ``stages``: names of its training stages, in order; ``start_stage(name)`` freezes and unfreezes
  what the stage wants;
* ``prepare(stage, batches)``: anything fitted in closed form on training data before a stage's
  first epoch;
* ``model_clip_shape(clip_shape, **params)`` (static): the part of a clip that the model sees, as
  (C, T, H, W);
* ``split_targets(**params)`` (static): names of the targets beside the labels that its batches
  carry;
* ``model_inputs(batch)``: the tensors that the model is called with;
* ``semi_supervised``: does it learn from clips without labels, beside those with? If so, every
  training batch holds a second batch under ``labelled``: clips whose labels may be used;
* ``generates``: does it generate frames? If so, it has ``observed``, the number of frames it sees,
  and ``generate(batch)``;
* ``rows_per_clip``: how many rows of a batch its model makes of a clip, 1 unless it cuts clips into
  windows;
* ``loss(batch)``: a scalar to minimise;
* ``score(batch)``: a dict of per-clip values (B,), among them ``loss``;
* ``readers()``, ``steps_read(...)`` and ``answer(...)``, for objectives that answer with classes:
  which modules the classes are read by, what of their input counts, and the answer to it, so that
  one run's head can be put on another run's features;
* ``selection``: the score that chooses the weights on validation data, and whether "max" or "min"
  is best; ``selected_apart``: scores that choose the weights of parts instead, each with what the
  names of its part's weights begin with;
* ``finish(batches)``: anything fitted on validation data once training is over.

What must be known of an objective before torch is imported stands in its declaration in
``OBJECTIVES``; a test holds it equal to what the class says.
"""

import inspect
from dataclasses import dataclass
from functools import cache

from vidrep.naming import Declared, resolve_own


@dataclass(frozen=True)
class ObjectiveTraits(Declared):
    """What configuration and rules need to know of an objective.

    Attributes:
        stages: names of its training stages, in order; None where only an instance can tell.
        generates: does it generate frames?
        tasks: what its parameter ``tasks`` is by default: the labels, and what is made from the
            factors of clips; empty for objectives without it.
    """

    stages: tuple[str, ...] | None = ("train",)
    generates: bool = False
    tasks: tuple[str, ...] = ()


OBJECTIVES = {
    "classification": ObjectiveTraits("vidrep.objectives.classification:Classification"),
    "multi_task": ObjectiveTraits(
        "vidrep.objectives.multi_task:MultiTask", tasks=("labels", "speeds")
    ),
    "frames_then_sequence": ObjectiveTraits(
        "vidrep.objectives.frames_then_sequence:FramesThenSequence", stages=("frames", "sequence")
    ),
    "lstm_composite": ObjectiveTraits(
        "vidrep.objectives.lstm_composite:LSTMComposite", generates=True
    ),
    "percept_composite": ObjectiveTraits("vidrep.objectives.percept_composite:PerceptComposite"),
    "reconstruction": ObjectiveTraits(
        "vidrep.objectives.reconstruction:Reconstruction", generates=True
    ),
    "windows_then_sequence": ObjectiveTraits(
        "vidrep.objectives.windows_then_sequence:WindowsThenSequence",
        stages=("windows", "sequence"),
    ),
    "capsule_margin": ObjectiveTraits("vidrep.objectives.capsule_margin:CapsuleMargin"),
    "slow_features": ObjectiveTraits(
        "vidrep.objectives.slow_features:SlowFeatureAnalysis", stages=("components", "slow")
    ),
    "future_frames": ObjectiveTraits(
        "vidrep.objectives.future_frames:FutureFrames", generates=True
    ),
    "masked_autoencoder": ObjectiveTraits(
        "vidrep.objectives.masked_autoencoder:MaskedAutoencoder", generates=True
    ),
    "latent_prediction": ObjectiveTraits("vidrep.objectives.latent_prediction:LatentPrediction"),
    "temporal_coherence": ObjectiveTraits("vidrep.objectives.temporal_coherence:TemporalCoherence"),
    "next_frame": ObjectiveTraits("vidrep.objectives.next_frame:NextFrame", generates=True),
    "cycle_consistency": ObjectiveTraits("vidrep.objectives.cycle_consistency:CycleConsistency"),
    "none": ObjectiveTraits("vidrep.objectives.base:Objective", stages=()),
}


@cache
def traits(name: str) -> ObjectiveTraits:
    """The traits of an objective.

    Those of ``OBJECTIVES`` are declared there, so that reading a configuration imports no torch.
    The class of a user's own objective is imported and asked.

    Raises:
        ValueError: unknown name, module or attribute, or a module that lacks another one.
    """
    if name in OBJECTIVES:
        return OBJECTIVES[name]
    own = resolve_own(name, OBJECTIVES, "objective")
    stages = getattr(own, "stages", None)
    tasks = inspect.signature(own).parameters.get("tasks")
    return ObjectiveTraits(
        place=name,
        stages=stages if isinstance(stages, tuple) else None,
        generates=getattr(own, "generates", False) is True,
        tasks=tuple(tasks.default) if tasks and tasks.default is not tasks.empty else (),
    )
