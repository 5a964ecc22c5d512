"""Curves for TensorBoard: those of the last training, and none of an earlier one."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from upath import UPath

from components.workflow.training_curves import write_curves


def test_curves_are_those_of_the_last_training(tmp_path):
    folder = UPath(tmp_path) / "tensorboard" / "interest-network"
    for losses in ([{"training": 0.5}], [{"training": 0.4, "held out": 0.6}, {"training": 0.3, "held out": 0.5}]):
        write_curves(losses, folder)
    assert len(list(folder.iterdir())) == 1
    curves = EventAccumulator(str(folder), {"tensors": 0})
    curves.Reload()
    assert set(curves.Tags()["tensors"]) == {"training", "held out"}
    assert [event.step for event in curves.Tensors("held out")] == [1, 2]
    write_curves((), folder)
    assert not folder.exists()
