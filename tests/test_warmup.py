"""The command that fills the cache: it goes through every entry, says where the code lies, and leaves nothing to compile."""

import subprocess
import sys

import pytest

from fastbp._kernels import epochs, network
from fastbp._kernels.lazy.addresses import all_lazy_functions
from fastbp.warmup import DTYPES, main, warmup


@pytest.mark.compiled
def test_every_entry_is_compiled_for_each_dtype(capsys):
    main([])
    printed = capsys.readouterr().out
    for name in ("train", "predict", "loss_and_gradient", "update_early_stopping"):
        assert (getattr(epochs, name, None) or getattr(network, name)).signatures
        assert f"{name}: " in printed
    assert all(f"{dtype}: " in printed for dtype in DTYPES)


@pytest.mark.compiled
def test_everything_is_compiled_if_asked_for(capsys):
    main(["--all", "float64"])
    assert f"and {len(all_lazy_functions())} functions" in capsys.readouterr().out


def test_other_dtypes_are_refused():
    with pytest.raises(ValueError, match=r"must be among .* got \['float16'\]"):
        warmup(["float16"])
    result = subprocess.run([sys.executable, "-m", "fastbp.warmup", "float16"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "float16" in result.stderr
