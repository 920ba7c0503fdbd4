# Two commands do everything: `make reproduce` and `make test`. Each target makes the environment it needs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check
STUDY  ?= quick
JOBS   ?= 8
INPUTS ?= 100000
KILLS  ?= 200
KILLED ?= results/robustness/kill-test.json
FUZZED ?= results/robustness/fuzz.json

.PHONY: reproduce compress study gpu test bench bench-check peers book pdf lab lock clean slurm-test fuzz fuzz-guided audit sbom kill-test

reproduce: $(VENV)/installed  ## set up, run the quick study, render the book
	$(BIN)/laghu study quick
	$(BIN)/laghu book

study: $(VENV)/installed  ## bring STUDY up to date: make study STUDY=cpu
	$(BIN)/laghu study $(STUDY)

gpu: $(VENV)/installed  ## the published GPU studies, stage by stage; call again to go on
	$(BIN)/laghu campaign gpu gpu-bengali gpu-small --jobs $(JOBS)

test: $(VENV)/installed  ## lint and test everything, the book included
	$(BIN)/ruff check
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile

compress: $(VENV)/installed  ## your model, your texts: make compress MODEL=... DATA=my.csv TEXT=headline LABEL=topic LEVELS="25 50 75"
	$(BIN)/laghu compress --data '$(DATA)' $(if $(MODEL),--model '$(MODEL)') $(if $(TEXT),--text '$(TEXT)') \
		$(if $(LABEL),--label '$(LABEL)') $(if $(LEVELS),--levels $(LEVELS)) $(if $(OUT),--out '$(OUT)') $(OPTIONS)

slurm-test: $(VENV)/installed  ## a study on a Slurm of one node, with jobs interrupted; Debian as root, skipped elsewhere
	$(BIN)/python tests/slurm/rehearsal.py results

fuzz: $(VENV)/installed  ## INPUTS damaged and made-up inputs through every reader; SEED=… gives those of another run again
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m fuzz --inputs $(INPUTS) $(if $(SEED),--seed $(SEED)) --json $(FUZZED)

fuzz-guided: $(VENV)/installed  ## INPUTS for each of three readers, chosen by the code that they reach; Linux on x86-64
	$(PIP) --requirement tests/fuzz/requirements.txt
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m fuzz.guided $(INPUTS)

audit: $(VENV)/installed  ## known vulnerabilities of the locked packages; fails where one could not be looked up
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement requirements.lock

sbom: $(VENV)/installed  ## what the locked environment consists of, and under which licences, into security/
	$(BIN)/python security/sbom.py

kill-test: $(VENV)/installed  ## kill tiny studies at KILLS random points (SEED=... for the same again) and see that nothing is lost
	PYTHONPATH=tests $(BIN)/python -m kill --kills $(KILLS) $(if $(SEED),--seed $(SEED)) $(if $(WORKERS),--workers $(WORKERS)) --json $(KILLED)

bench: $(VENV)/installed  ## documents per second of STUDY's models, step by step, into results/benchmarks.csv
	$(BIN)/laghu bench $(STUDY)

bench-check: $(VENV)/installed  ## fail if a step of STUDY is worth less than its published benchmark says
	$(BIN)/laghu bench $(STUDY) --check

peers:  ## an environment for optimum-onnx, which wants an older transformers; `make bench` then measures it too
	$(PYTHON) -m venv benchmarks/peers/.venv
	benchmarks/peers/.venv/bin/pip install --quiet --disable-pip-version-check --requirement benchmarks/peers/requirements.txt

book: $(VENV)/book  ## render the book from the results that are here; needs neither PyTorch nor what trains
	$(BIN)/laghu book

pdf: $(VENV)/book  ## print the book as _build/laghu.pdf; needs Chromium or Chrome
	$(BIN)/laghu pdf

lab: $(VENV)/installed  ## open the notebooks, and first the one with controls; it needs no corpus
	$(BIN)/jupyter lab --notebook-dir notebooks notebooks/tweak.ipynb

lock:  ## write requirements.lock anew from pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --editable '.[book,dev,openvino,peers,quantization,security,slurm]'
	$(BIN)/pip freeze --exclude-editable | sed 's/+[a-z0-9]*$$//' > requirements.lock

clean:  ## remove what can be made again; published results stay
	rm -rf $(VENV) _build .cache .snakemake checkpoints book/_generated results/quick results/manual

# Two stages, so that the book is there in seconds: what renders it, and on top what trains and tests.
$(VENV)/book: pyproject.toml requirements.lock requirements-book.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --requirement requirements-book.txt
	$(PIP) --no-deps --editable .
	touch $@

$(VENV)/installed: $(VENV)/book
	$(PIP) --requirement requirements.lock
	touch $@
