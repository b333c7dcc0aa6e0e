"""Objectives: what a model is trained for. Each owns the model, its heads or decoders, and the
loss.

An objective is a torch module with

* ``model``: the network whose layers are opened up later;
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
* ``generates``: does it draw frames? If so, it has ``observed``, the number of frames it sees, and
  ``generate(batch)``;
* ``rows_per_clip``: how many rows of a batch its model makes of a clip, 1 unless it cuts clips into
  windows;
* ``loss(batch)``: a scalar to minimise;
* ``score(batch)``: a dict of per-clip values (B,), among them ``loss``;
* ``readers()``, ``steps_read(...)`` and ``answer(...)``, for objectives that answer with classes:
  which modules the classes are read by, what of their input counts, and the answer to it, so that
  one run's head can be put on another run's features;
* ``selection``: the score that chooses the weights on validation data, and whether "max" or "min"
  is best;
* ``finish(batches)``: anything fitted on validation data once training is over.
"""

OBJECTIVES = {
    "classification": "vidrep.objectives.classification:Classification",
    "multi_task": "vidrep.objectives.multi_task:MultiTask",
    "frames_then_sequence": "vidrep.objectives.frames_then_sequence:FramesThenSequence",
    "lstm_composite": "vidrep.objectives.lstm_composite:LSTMComposite",
    "percept_composite": "vidrep.objectives.percept_composite:PerceptComposite",
    "reconstruction": "vidrep.objectives.reconstruction:Reconstruction",
    "windows_then_sequence": "vidrep.objectives.windows_then_sequence:WindowsThenSequence",
    "capsule_margin": "vidrep.objectives.capsule_margin:CapsuleMargin",
    "slow_features": "vidrep.objectives.slow_features:SlowFeatureAnalysis",
    "future_frames": "vidrep.objectives.future_frames:FutureFrames",
    "masked_autoencoder": "vidrep.objectives.masked_autoencoder:MaskedAutoencoder",
    "latent_prediction": "vidrep.objectives.latent_prediction:LatentPrediction",
    "temporal_coherence": "vidrep.objectives.temporal_coherence:TemporalCoherence",
    "next_frame": "vidrep.objectives.next_frame:NextFrame",
    "cycle_consistency": "vidrep.objectives.cycle_consistency:CycleConsistency",
    "none": "vidrep.objectives.base:Objective",
}
