"""Alignment: what the embeddings of frames say about how far a video of a common process has got.

The protocol is that of Dwibedi et al., CVPR 2019, arXiv 1904.07846, section 4: frozen embeddings,
all frames of all test videos.

* ``measures``: Kendall's tau and the alignment error of all pairs of videos, phase classification,
  phase progression;
* ``videos``: the videos, embeddings of their frames, and baselines that stand in for these;
* ``job``: all of them for a run or a baseline, with intervals over test videos, and a few matched
  videos to look at.
"""

# What runs are compared with, and what figures call it; ``videos`` makes them.
BASELINES = {"frame_index": "frame number", "raw_pixels": "pixels", "chance": "chance"}
