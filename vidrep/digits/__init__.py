"""Digit sources: labelled glyph images, split into train, validation and test by image.

Here stands only what kinds there are, since the Snakefile reads that whenever it is parsed.
"""

# Of each kind the keys that it needs and those that it may have; ``source`` says what they mean.
KINDS = {
    "sklearn": ((), ()),
    "mnist": (("folder",), ()),
    "idx": (("images", "labels"), ("name",)),
}
# The archives in the folder of digits of kind mnist.
MNIST_FILES = tuple(
    f"{part}-{content}-ubyte.gz"
    for part in ("train", "t10k")
    for content in ("images-idx3", "labels-idx1")
)
