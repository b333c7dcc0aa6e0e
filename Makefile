# make report   install into .venv, run the default experiment, print where its report lies
# make test     install into .venv, run all tests but those of the published widths and those on SLURM (.ci/run has these too)
# make test-quick  the inner loop: tests that take little, no Snakemake
# make fidelity install into .venv, judge the sources' claims at small scale: results/fidelity*/fidelity.md
# make plan     before a run: jobs, hours, memory, disk; after it: how far that was off. PLAN="--workflow-profile profiles/slurm" for a cluster
# EXPERIMENT=paper make report   the same for workflow/experiments/paper.yaml

EXPERIMENT ?= default
# The overlay of an experiment other than the default; checked first, because Snakemake says of a YAML error neither line nor column.
OVERLAY = $(if $(filter default,$(EXPERIMENT)),,workflow/experiments/$(EXPERIMENT).yaml)
CHECK = $(if $(OVERLAY),.venv/bin/python -m vidrep check $(OVERLAY))
CONFIGFILE = $(if $(OVERLAY),--configfile $(OVERLAY))
SNAKEMAKE = .venv/bin/snakemake $(CONFIGFILE)
REPORT = results/$(EXPERIMENT)/report.html

# Two workers with one thread each use two cores best. A file stays with one worker: what its tests share is made once.
PYTEST = OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: report plan test test-quick fidelity

report: .venv/installed
	$(CHECK)
	$(SNAKEMAKE) --quiet rules
	$(SNAKEMAKE) --quiet all --report $(REPORT)
	@echo "The report: $(abspath $(REPORT))"

plan: .venv/installed
	$(CHECK)
	.venv/bin/python scripts/plan.py $(CONFIGFILE) $(PLAN)

fidelity: .venv/installed
	.venv/bin/snakemake fidelity --configfile workflow/experiments/fidelity.yaml --quiet rules
	.venv/bin/snakemake fidelity --configfile workflow/experiments/fidelity_predictive.yaml --quiet rules

test: .venv/installed
	$(PYTEST)

test-quick: .venv/installed
	$(PYTEST) -m "not workflow and not slurm and not reference and not slow"

.venv/installed: pyproject.toml envs/constraints.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet -e ".[dev]" -c envs/constraints.txt
	touch $@
