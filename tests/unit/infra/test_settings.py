import pytest

from infra.errors import ConfigurationError
from infra.settings import PROFILES, known_fields, load_settings
from infra.settings_page import PAGE, page


def test_defaults_are_the_local_profile(settings):
    assert settings.profile == "local"
    assert settings.model("segmentation").backend == "openvino"
    assert settings.processor("embedding").num_cpus < 1, "five replicas have to fit on two cores"


@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES.glob("*.toml")))
def test_every_profile_loads(name):
    assert load_settings(profile=name).profile == name


def test_flags_beat_environment_beats_profile(tmp_path, monkeypatch):
    profile = tmp_path / "mine.toml"
    profile.write_text("[gateway]\nport = 7001\nhost = '0.0.0.0'\nsession_hours = 5\n")
    monkeypatch.setenv("WORKBENCH_GATEWAY__PORT", "7002")
    monkeypatch.setenv("WORKBENCH_GATEWAY__HOST", "127.0.0.2")
    found = load_settings(profile=str(profile), gateway={"port": 7003}).gateway
    assert (found.port, found.host, found.session_hours) == (7003, "127.0.0.2", 5)


def test_unknown_variable_is_refused_with_the_nearest_name(monkeypatch):
    monkeypatch.setenv("WORKBENCH_GATEWAY__PROT", "1")
    with pytest.raises(ConfigurationError, match="WORKBENCH_GATEWAY__PORT"):
        load_settings()


def test_unknown_key_in_a_profile_is_refused(tmp_path):
    profile = tmp_path / "typo.toml"
    profile.write_text("[gateway]\nprot = 1\n")
    with pytest.raises(ConfigurationError, match=r"gateway\.prot.*gateway\.port"):
        load_settings(profile=str(profile))


def test_bad_value_names_the_field():
    with pytest.raises(ConfigurationError, match=r"gateway\.port"):
        load_settings(gateway={"port": 70000})


def test_unknown_profile_names_the_known_ones():
    with pytest.raises(ConfigurationError, match="aws, gpu, local"):
        load_settings(profile="laptop")


def test_one_row_of_the_table_of_processors_can_be_changed(monkeypatch):
    monkeypatch.setenv("WORKBENCH_PROCESSORS__LLM__THREADS", "3")
    found = load_settings()
    assert found.processor("llm").threads == 3
    assert found.processor("segmentation").threads == 0


def test_settings_of_a_renamed_deployment_still_count(monkeypatch):
    monkeypatch.setenv("WORKBENCH_PROCESSORS__LIBRARIAN__THREADS", "3")
    assert load_settings().processor("index").threads == 3


def test_every_setting_is_described():
    assert not [name for name, description in known_fields().items() if not description]


def test_the_page_of_settings_is_not_stale():
    assert PAGE.read_text() == page(), "run: python -m infra.settings_page"
