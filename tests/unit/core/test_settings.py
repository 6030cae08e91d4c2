"""Settings from file and environment, and the one line that a wrong one gets."""

from pathlib import Path

import pytest

from kilocam.analyse import DETECTOR
from kilocam.core import ConfigError
from kilocam.core.settings import Settings, load_settings

_LLM = "write it as https://host/v1, up to and without /chat/completions"


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "kilocam.toml"
    file.write_text(text)
    return file


def test_defaults_need_no_file() -> None:
    settings = load_settings()
    assert settings.http.listen == "127.0.0.1:8000"
    assert settings.storage.keep == 7 * 86_400_000_000
    assert settings.analysis.detector == DETECTOR  # the one that the set-up step fetches


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILOCAM_STORAGE__KEEP", "36h")
    settings = load_settings(write(tmp_path, '[storage]\nkeep = "2d"\nmax_size = "2TiB"\n'))
    assert settings.storage.keep == 36 * 3_600_000_000
    assert settings.storage.max_size == 2 << 40


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[storage]\nkep = "7d"\n', "unknown key 'storage.kep'; did you mean 'keep'?"),
        ("[strage]\n", "unknown key 'strage'; did you mean 'storage'?"),
        ("[storage]\nkeep = true\n", "storage.keep: write it as text in quotes, with a unit"),
        (
            '[storage]\nkeep = "soon"\n',
            "storage.keep: duration 'soon' is not valid: write it as 10s, 5m, 36h or 7d",
        ),
        ('[[camera]]\nid = "gate"\n', "camera.0.url is missing; add it to [[camera]] number 1"),
        ('[[camera]]\nid = "Gate 1"\nurl = "rtsp://h/"\n', "camera id 'Gate 1' is not valid"),
        ('[[camera]]\nid = "a"\nurl = "x"\ntranspot = "tcp"\n', "did you mean 'transport'?"),
        ("[http\n", "is not valid TOML"),
        (
            '[analysis]\ncanary = "../other"\n',
            "analysis.canary: model '../other' is not valid: write NAME or NAME@VERSION",
        ),
        ("[analysis]\ncanary_share = 2\n", "analysis.canary_share: input should be less than"),
        ('[llm]\nbase_url = "h/v1"\nmodel = "m"\n', f"llm.base_url: {_LLM}"),
        ('[llm]\nbase_url = "https://h/v1?key=s3cret"\nmodel = "m"\n', f"llm.base_url: {_LLM}"),
        (
            '[llm]\nbase_url = "https://h/v1/chat/completions/"\nmodel = "m"\n',
            f"llm.base_url: {_LLM}",
        ),
        ('[llm]\nbase_url = "https://a..b/v1"\nmodel = "m"\n', f"llm.base_url: {_LLM}"),
        ('[llm]\nbase_url = "https://a b/v1"\nmodel = "m"\n', f"llm.base_url: {_LLM}"),
        ('[llm]\nmodel = "a\\nb"\n', "llm.model: it holds signs that no model's name has"),
        ("[llm]\ndescriptions_per_day = 10000000\n", "llm.descriptions_per_day: input should be"),
        ("[analysis]\ntenant_weight = {shop = 0}\n", "analysis.tenant_weight.shop: input should"),
        ('[analysis]\ncanary_least = "366d"\n', "analysis.canary_least: write 365d at most"),
        ('[analysis]\ndetector = ""\n', "analysis.detector is empty: write something"),
        ('[llm]\nbase_url = "https://h:x/v1"\nmodel = "m"\n', f"llm.base_url: {_LLM}"),
        (
            '[llm]\nbase_url = "https://u:s3cret@h/v1"\nmodel = "m"\n',
            "llm.base_url: it holds a login: put the key into llm.api_key",
        ),
        ('[llm]\nbase_url = "https://h/v1"\n', "llm: base_url is set and model is not"),
        ('[llm]\napi_key = "s3cret\\n"\n', "llm.api_key: it holds spaces or signs that no"),
        ("[llm]\ndescriptions_per_day = -1\n", "llm.descriptions_per_day: input should be"),
        ('[[stream]]\nname = "out"\n', "stream.0.kind is missing; add it to [[stream]] number 1"),
        ('[[stream]]\nname = "Out"\nkind = "mqtt"\n', "stream id 'Out' is not valid"),
        ('[[stream]]\nname = "out"\nkind = "fax"\n', "stream.0.kind: input should be 'kafka'"),
        ('[[stream]]\nname = "out"\nkind = "mqtt"\n', "url is missing; a stream of kind 'mqtt'"),
        (
            '[[stream]]\nname = "out"\nkind = "mqtt"\nurl = "mqtt://h"\nsecret = "s3cret"\n',
            "user and secret belong together",
        ),
        (
            '[[stream]]\nname = "out"\nkind = "parquet"\npath = "/p"\nsecret = "s3cret"\n',
            "secret does not belong to kind 'parquet'; leave it out",
        ),
        ('[[stream]]\nname = "out"\nkind = "webhook"\nurl = "https://h"\n', "secret is missing"),
        (
            2 * '[[stream]]\nname = "out"\nkind = "mqtt"\nurl = "mqtt://h"\n',
            "stream 'out' stands there twice",
        ),
    ],
)
def test_a_wrong_setting_gets_one_line_that_names_it(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))
    assert line in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value).replace(str(tmp_path), "")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: No such file or directory; check the path"):
        load_settings(tmp_path / "none.toml")


def test_a_camera_that_stands_twice_is_refused(tmp_path: Path) -> None:
    camera = '[[camera]]\nid = "gate"\nurl = "rtsp://h/"\n'
    with pytest.raises(ConfigError, match="camera 'gate' of tenant 'default' stands there twice"):
        load_settings(write(tmp_path, camera + camera))


def test_settings_survive_the_way_to_a_child(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, '[storage]\nkeep = "90m"\nmax_size = "3GB"\n'))
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_a_key_reaches_children_and_shows_nowhere(tmp_path: Path) -> None:
    text = '[llm]\nbase_url = "https://h/v1"\nmodel = "m"\napi_key = "sk-s3cret"\n'
    settings = load_settings(write(tmp_path, text))
    assert Settings.model_validate_json(settings.model_dump_json()).llm.api_key == "sk-s3cret"
    assert "s3cret" not in f"{settings!r} {settings}"


def test_a_streams_secret_reaches_children_and_shows_nowhere(tmp_path: Path) -> None:
    text = (
        '[[stream]]\nname = "ha"\nkind = "mqtt"\nurl = "mqtts://h"\nuser = "u"\n'
        'secret = "s3cret"\nclasses = ["person"]\n'
        '[[stream]]\nname = "files"\nkind = "parquet"\npath = "/p"\nevery = "10m"\n'
    )
    settings = load_settings(write(tmp_path, text))
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
    assert settings.stream[0].secret == "s3cret"
    assert "s3cret" not in f"{settings!r} {settings}"
    assert [stream.begins for stream in settings.stream] == ["now", "all"]


def test_descriptions_are_off_until_an_endpoint_is_named(tmp_path: Path) -> None:
    assert not load_settings().llm.describes
    named = '[llm]\nbase_url = "https://h/v1"\nmodel = "m"\n'
    assert load_settings(write(tmp_path, named)).llm.describes
    none = named + "descriptions_per_day = 0\n"
    assert not load_settings(write(tmp_path, none)).llm.describes
