"""The kind ``videos``: data sets made of video files.

``kind`` says what the configuration may ask for, ``layout`` and ``official`` which file shows what,
``groups`` what goes into which split; they import nothing heavy. ``sample`` says which frames are
taken, ``decode`` reads them, and ``ingest`` writes the files of clips.
"""
