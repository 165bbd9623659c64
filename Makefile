# The front door. Everything is built by CMake and Ninja under build/; see CMakePresets.json for the kinds of build.

JOBS ?= $(shell nproc)
export CTEST_OUTPUT_ON_FAILURE = 1

all: need-build
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target aeon

# What the next step needs is installed when it is missing; nothing is done, quickly, when it is not.
need-build:
	@tools/bootstrap.sh build
need-demo:
	@tools/bootstrap.sh build demo
	@tools/guests.sh demo
need-test:
	@tools/bootstrap.sh build test
	@tools/guests.sh

# Everything that building, showing and testing want.
bootstrap: need-test

demo: need-demo all
	@tools/demo.sh

# Both builds are tested, the one with sanitizers first; a failure of one does not hide the other's.
test: need-test
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS)
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev -j $(JOBS)
	@status=0; \
	ctest --preset dev -j $(JOBS) || status=1; \
	ctest --preset release -j $(JOBS) || status=1; \
	exit $$status

bench: need-test all
	@cmake --build --preset release --target bench

# SECONDS of fuzzing for each target: make fuzz SECONDS=1200
SECONDS ?= 60
fuzz: need-test
	@cmake --preset fuzz >/dev/null
	@cmake --build --preset fuzz -j $(JOBS)
	@tools/fuzz.sh $(SECONDS)

gcc tsan: need-test
	@cmake --preset $@ >/dev/null
	@cmake --build --preset $@ -j $(JOBS)
	@ctest --preset $@ -j $(JOBS)

cov: need-test
	@cmake --preset cov >/dev/null
	@cmake --build --preset cov -j $(JOBS)
	@ctest --preset cov -j $(JOBS)
	@tools/coverage.sh build/cov

format:
	@python3 tools/format.py --fix

# Builds only; what was downloaded stays in build/toolchain and build/guests.
clean:
	rm -rf build/release build/dev build/tsan build/fuzz build/gcc build/cov

.PHONY: all need-build need-demo need-test bootstrap demo test bench fuzz gcc tsan cov format clean
