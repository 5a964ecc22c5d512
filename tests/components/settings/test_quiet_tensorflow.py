"""TensorFlow's start-up notices stay off the screen, and nothing else does."""

import os
import subprocess
import sys

from components.settings.quiet_tensorflow import without_notices

IMPORT = """
from components.settings.environment import prepare
prepare()
import tensorflow
assert tensorflow.__spec__.loader is tensorflow.__loader__
print(float(tensorflow.constant(2.0)))
"""


def test_no_line_is_written_when_tensorflow_is_imported(tmp_path):
    path = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "HOME": str(tmp_path)}
    shown = subprocess.run(
        [sys.executable, "-c", IMPORT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert (shown.stdout, shown.stderr) == ("2.0\n", "")


def test_warnings_and_errors_are_passed_on(capfd):
    with without_notices():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n")
        os.write(2, b"I0000 00:00:1795709202.675025   12180 cudart_stub.cc:31] Could not find cuda drivers\n")
        os.write(2, b"2025-09-17 14:44:05.157831: I local_xla/cudart_stub.cc:32] Could not find cuda drivers\n")
        os.write(2, b"E0000 00:00:1758131045.203198 3722035 cuda_dnn.cc:8579] Unable to register cuDNN factory\n")
        os.write(2, b"a line of Python's own\n")
    assert capfd.readouterr().err == (
        "E0000 00:00:1758131045.203198 3722035 cuda_dnn.cc:8579] Unable to register cuDNN factory\n"
        "a line of Python's own\n"
    )


def test_what_was_written_before_an_error_is_passed_on(capfd):
    try:
        with without_notices():
            os.write(2, b"a reason\n")
            raise ImportError("no such library")
    except ImportError:
        pass
    assert capfd.readouterr().err == "a reason\n"
