"""The command `python -m fastbp.warmup`: it compiles every entry function and prints where the machine code is stored."""

import subprocess
import sys

import pytest

from fastbp._kernels import epochs, network
from fastbp._kernels.lazy.addresses import all_lazy_functions
from fastbp.warmup import DTYPES, _main, warmup


@pytest.mark.compiled
def test_every_entry_is_compiled_for_each_dtype(capsys):
    _main([])
    printed = capsys.readouterr().out
    for name in ("train", "predict", "loss_and_gradient", "update_early_stopping"):
        assert (getattr(epochs, name, None) or getattr(network, name)).signatures
        assert f"{name}: " in printed
    assert all(f"{dtype}: " in printed for dtype in DTYPES)


@pytest.mark.compiled
def test_option_all_compiles_all_functions(capsys):
    _main(["--all", "float64"])
    assert f"and {len(all_lazy_functions())} functions" in capsys.readouterr().out


@pytest.mark.slow
def test_other_dtypes_are_rejected():
    with pytest.raises(ValueError, match=r"must be among .* got \['float16'\]"):
        warmup(["float16"])
    result = subprocess.run([sys.executable, "-m", "fastbp.warmup", "float16"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "float16" in result.stderr
