"""Model folders: what is written is read again, and everything else is refused with a sentence."""

from __future__ import annotations

import pickle

import pytest
import torch
import yaml

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.models import TimeArrowNet, load_state, read_model, write_model, write_state
from napari_tarrow.engine.trained import read_trained

UPSTREAM = {"backbone", "projection_head", "classification_head", "n_frames", "n_features", "n_input_channels"}
UPSTREAM |= {"symmetric", "outdir", "commit"}


@pytest.fixture
def model():
    torch.manual_seed(3)
    return TimeArrowNet("unet_16fmaps", n_features=6, symmetric=True).eval()


@pytest.fixture
def folder(tmp_path, model):
    write_model(tmp_path / "model", model)
    return tmp_path / "model"


def edit(folder, **entries):
    path = folder / "model_kwargs.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | entries))


def test_a_written_model_is_read_again_in_eval_mode(folder, model):
    x = torch.rand(1, 2, 1, 24, 16)

    again = TimeArrowNet.from_folder(model_folder=folder)

    assert not again.training
    assert again.config == model.config
    torch.testing.assert_close(again(x), model(x), rtol=0, atol=0)


def test_the_folder_is_written_as_upstream_reads_it(folder, model):
    kwargs = yaml.safe_load((folder / "model_kwargs.yaml").read_text())
    state = torch.load(folder / "model_state.pt", weights_only=True)

    assert set(kwargs) == UPSTREAM
    assert list(state) == list(model.state_dict())
    assert sorted(path.name for path in folder.iterdir()) == ["model_kwargs.yaml", "model_state.pt"]


def test_tensors_are_stored_contiguous_and_alone(tmp_path, model):
    model.to(memory_format=torch.channels_last)

    write_model(tmp_path, model)

    for tensor in load_state(tmp_path / "model_state.pt").values():
        assert tensor.is_contiguous()
        assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_a_folder_of_upstream_is_read(folder, model):
    kwargs = {k: v for k, v in model.config.items() if k != "commit"} | {"outdir": "runs/old", "commit": "abc"}
    (folder / "model_kwargs.yaml").write_text(yaml.dump(kwargs))

    assert read_model(folder).config == model.config


def test_another_checkpoint_is_read_by_name(folder, model):
    with torch.no_grad():
        model.backbone.head.bias += 1
    write_model(folder, model, name="last_state.pt")

    again = TimeArrowNet.from_folder(folder, state_dict_path="last_state.pt")

    torch.testing.assert_close(again.backbone.head.bias, model.backbone.head.bias)


def test_outdir_and_commit_are_kept_for_provenance(tmp_path):
    model = TimeArrowNet("id", outdir=tmp_path / "run", commit="abc")

    assert (model.config["outdir"], model.config["commit"]) == (str(tmp_path / "run"), "abc")
    assert not (tmp_path / "run").exists()


def test_a_pickled_module_alone_is_refused_with_the_reason(folder):
    (folder / "model_state.pt").rename(folder / "model_full.pt")

    with pytest.raises(UserError, match=r"run whatever code.*torch\.save\(model\.state_dict\(\)"):
        read_model(folder)


class Mine:
    def __reduce__(self):
        return print, ("this must never be printed",)


@pytest.mark.parametrize("write", [lambda o, p: torch.save(o, p), lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_code_in_a_state_file_is_never_run(folder, capsys, write):
    write({"backbone.head.bias": Mine()}, folder / "model_state.pt")

    with pytest.raises(UserError, match=r"more than tensors|not written by torch"):
        read_model(folder)

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("keep", [0, 1, 100, 5000, 0.5, 0.99])
def test_a_truncated_state_is_refused(folder, keep):
    path = folder / "model_state.pt"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])

    with pytest.raises(UserError, match=r"model_state\.pt .*damaged"):
        read_model(folder)


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {1: torch.zeros(1)}, torch.zeros(2)])
def test_a_file_without_a_state_dict_is_refused(folder, content):
    torch.save(content, folder / "model_state.pt")

    with pytest.raises(UserError, match="no state dict"):
        read_model(folder)


def test_a_state_of_another_network_is_refused_with_the_differences(folder, model):
    state = model.state_dict()
    state["backbone.head.weight"] = torch.zeros(3, 16, 1, 1)
    state["extra"] = state.pop("backbone.head.bias")
    write_state(folder / "model_state.pt", state)

    with pytest.raises(UserError) as error:
        read_model(folder)

    for part in ("backbone.head.bias missing", "extra not known", "3 x 16 x 1 x 1 where 16 x 16 x 1 x 1"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"backbone": "unet_16fmap"}, "Did you mean 'unet_16fmaps'"),
        ({"backbone": "zzz"}, "Known are: unet"),
        ({"projection_head": "minimal_batchnrm"}, "Did you mean 'minimal_batchnorm'"),
        ({"classification_head": "unet"}, "no permutation-equivariant classification head 'unet'"),
        ({"classification_head": "difference", "n_frames": 3}, "takes 2 frames, not 3"),
        ({"n_featurs": 3}, "Did you mean 'n_features'"),
        ({"n_features": "many"}, "n_features is 'many', but has to be a whole number"),
        ({"n_features": 0}, "n_features is 0"),
        ({"n_frames": True}, "n_frames is True"),
        ({"symmetric": 1}, "true or false"),
        ({"backbone": 3}, "a name"),
        ({"backbone": None}, "a name"),
    ],
)
def test_wrong_arguments_are_refused(folder, entry, sentence):
    edit(folder, **entry)

    with pytest.raises(UserError, match=sentence):
        read_model(folder)


def test_missing_files_are_named(folder, tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        read_model(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no other\.pt"):
        read_model(folder, state="other.pt")
    (folder / "model_kwargs.yaml").unlink()
    with pytest.raises(UserError, match=r"no model_kwargs\.yaml"):
        read_model(folder)
    with pytest.raises(UserError, match="does not exist"):
        load_state(tmp_path / "nothing.pt")


def test_a_folder_that_may_not_be_read_is_a_sentence(folder, monkeypatch):
    with monkeypatch.context() as closed:
        closed.setattr("os.access", lambda path, mode: False)
        with pytest.raises(UserError, match=r"model_state\.pt cannot be read\. Check its rights\."):
            read_model(folder)

    def no_search(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.is_file", no_search)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\). Check its rights."):
        read_model(folder)


def test_an_unknown_mode_is_a_programming_error(model):
    with pytest.raises(ValueError, match="no mode"):
        model(torch.rand(1, 2, 1, 8, 8), mode="logits")


def test_a_device_that_is_not_there_is_a_sentence(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"cuda:0 is not there: this machine offers .*cpu\. Choose one, or auto\."):
        TimeArrowNet.from_folder(folder, map_location="cuda")
    with pytest.raises(UserError, match="device is 'gpu'; it should be auto, cpu"):
        read_trained(folder, device="gpu")


@pytest.mark.parametrize(("inputs", "channels"), [(1, 0), (3, 3)])
def test_channels_that_no_file_tells_are_those_of_the_network(inputs, channels, tmp_path):
    write_model(tmp_path, TimeArrowNet("simple", n_features=2, n_input_channels=inputs))
    assert read_trained(tmp_path).preparation.channels == channels
