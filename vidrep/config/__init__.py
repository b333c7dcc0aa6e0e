"""The configuration: its keys as typed sections, and what must hold among them.

* ``sections``: one class a section, with every key's type, default and meaning;
* ``complete``: a configuration checked key by key and filled with defaults, or one line of error;
* ``checks``: what must hold among keys, systems and data sets before the first job;
* ``reference``: docs/configuration.md, made of the sections.

The Snakefile imports this package every time it is parsed, in every job: nothing heavy here.
"""

from vidrep.config.checks import check
from vidrep.config.complete import complete, read_yaml

__all__ = ["check", "complete", "read_yaml"]
