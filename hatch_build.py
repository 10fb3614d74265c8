"""Put compiled kernels into the wheel, if the environment variable FASTBP_BUILD_TARGETS is set.

FASTBP_BUILD_TARGETS is a list of levels of processors that are separated by spaces, for example "x86-64-v3 x86-64-v4". The kernels
and all options are compiled for both dtypes. The wheel is then valid only for this platform and this version of Python. Without the
variable, the wheel contains only Python code.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledKernels(BuildHookInterface):
    """The build hook. Hatchling calls `initialize` before it builds a wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self):
        return self.metadata.core.dependencies if _targets() else []

    def initialize(self, version, build_data):
        if not _targets() or version == "editable":
            return
        self.folder = tempfile.mkdtemp()
        source = str(Path(self.root, "src"))
        command = [sys.executable, "-m", "fastbp.warmup", "--all", "--into", self.folder, "--target", *_targets()]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": source}, cwd=source, check=True)
        build_data["force_include"][self.folder] = "fastbp/_compiled"
        build_data["pure_python"], build_data["infer_tag"] = False, True

    def finalize(self, version, build_data, artifact_path):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)


def _targets():
    return os.environ.get("FASTBP_BUILD_TARGETS", "").split()
