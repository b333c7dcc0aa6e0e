"""The jobs of an experiment as Snakemake plans them."""

import contextlib
import io
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One job of a dry run.

    Attributes:
        rule, wildcards: which one.
        threads, gpu, mem_mb: what its first attempt asks for.
        outputs: the files and folders it makes.
        benchmark: where its record is or will be; names the job among all experiments. Empty for
            targets, which do nothing.
    """

    rule: str
    wildcards: dict[str, str]
    threads: int
    gpu: int
    mem_mb: int
    outputs: tuple[str, ...]
    benchmark: str

    @property
    def stage(self) -> str:
        """The stage it belongs to: the folder of its record."""
        parts = Path(self.benchmark).parts
        return parts[parts.index("benchmarks") + 1].removesuffix(".tsv")


def dry_run(arguments: list[str], *, elsewhere: bool) -> list[Job]:
    """The jobs that Snakemake would run with these arguments, without its targets.

    Args:
        arguments: of Snakemake's command line.
        elsewhere: the jobs go to a scheduler, so that whether this machine has a GPU does not
            matter.

    Raises:
        ValueError: the dry run failed; the reason is Snakemake's, or the Snakefile's own line.
    """
    from snakemake import cli
    from snakemake.logging import logger
    from snakemake_interface_logger_plugins.common import LogEvent

    jobs: list[Job] = []

    def note(record: logging.LogRecord) -> bool:
        if getattr(record, "event", None) == LogEvent.JOB_INFO and record.benchmark:
            jobs.append(_job(record))
        return True

    # A filter sees each record before Snakemake's own handlers, which it replaces at every start.
    logger.addFilter(note)
    said = io.StringIO()
    try:
        with (
            _pretended_gpu(elsewhere),
            contextlib.redirect_stderr(said),
            contextlib.redirect_stdout(said),
        ):
            cli.main([*arguments, "--dry-run", "--quiet", "rules"])
    except SystemExit as end:
        if end.code not in (0, None):
            text = end.code if isinstance(end.code, str) else said.getvalue()[-2000:]
            raise ValueError(f"the dry run failed: {text.removeprefix('error: ')}") from None
    finally:
        logger.removeFilter(note)
    return jobs


@contextlib.contextmanager
def _pretended_gpu(pretended: bool) -> Iterator[None]:
    """Let rules think that there is a GPU: a dry run is always a local one to them."""
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    if pretended:
        os.environ["CUDA_VISIBLE_DEVICES"] = "0"
    try:
        yield
    finally:
        if pretended:
            os.environ.pop("CUDA_VISIBLE_DEVICES")
            if before is not None:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _job(record: logging.LogRecord) -> Job:
    asked = {name: value for name, value in record.resources.items() if isinstance(value, int)}
    outputs = []
    for path in record.output:
        name, *_ = str(path).split(" (")  # Snakemake adds "(temp)" and the like
        outputs.append(name)
    return Job(
        rule=re.sub(r"_\d+$", "", record.rule_name),  # rules of one kind are numbered
        wildcards=dict(record.wildcards),
        threads=record.threads,
        gpu=asked.get("gpu", 0),
        mem_mb=asked.get("mem_mb", 0),
        outputs=tuple(outputs),
        benchmark=str(record.benchmark),
    )
