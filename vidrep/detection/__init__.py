"""Temporal activity detection in untrimmed videos.

The method is that of Montes, Salvador, Pascual & Giro-i-Nieto, 2016, arXiv 1608.08128.

A frozen clip network turns every clip of a video into a vector (``features``); a recurrent network
labels each clip as background or one of K activities (``labeller``); what it says becomes one
activity a video with start and end times (``postprocess``), scored by mean average precision
(``evaluate``). ``job`` strings these together for one run.

All arrays hold the clips of many videos one after the other, (N, ...) with N the sum of ``clips``
(V,); label 0 is background and label c + 1 the activity of class c.
"""
