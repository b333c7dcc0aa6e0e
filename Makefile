# make report   install into .venv, run the default experiment, print where its report lies
# make test     install into .venv, run all tests
# EXPERIMENT=paper make report   the same for workflow/experiments/paper.yaml

EXPERIMENT ?= default
SNAKEMAKE = .venv/bin/snakemake $(if $(filter default,$(EXPERIMENT)),,--configfile workflow/experiments/$(EXPERIMENT).yaml)
REPORT = results/$(EXPERIMENT)/report.html

.PHONY: report test

report: .venv/installed
	$(SNAKEMAKE) --quiet rules
	$(SNAKEMAKE) --quiet all --report $(REPORT)
	@echo "The report: $(abspath $(REPORT))"

test: .venv/installed
	.venv/bin/python -m pytest -n 2 --dist loadfile

.venv/installed: pyproject.toml envs/constraints.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet -e ".[dev]" -c envs/constraints.txt
	touch $@
