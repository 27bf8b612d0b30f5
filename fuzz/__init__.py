"""Fuzzing: octets that nobody thought of, thrown at whatever reads what strangers and people wrote.

    python -m fuzz wire --seconds 600       one target, guided by coverage; `make fuzz` runs all of them
    python -m fuzz wire --replay            the corpus and every input that was ever found, without atheris

A target is a module in `fuzz/targets` with a function `check(octets)`, which raises when a promise is broken.
`fuzz/corpus/TARGET` holds where to begin (`seeds`), what reached new branches (`reached.hex`) and every
input that broke a promise (`regressions.hex`). tests/unit/test_fuzz_regressions.py replays all of it.
"""
