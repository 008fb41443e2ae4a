"""A private Label Studio: who may read its files, and where it may send requests."""

import ipaddress
from pathlib import Path

import yaml

from backend.studio.local import LocalStudio, banned_networks, is_private

ROOT = Path(__file__).parents[3]


def test_an_existing_folder_becomes_private_and_serves_only_clips(tmp_path):
    """As earlier versions left it: readable by everybody, inside the folder that was served."""
    clips, folder = tmp_path / "clips", tmp_path / "label-studio"
    (folder / "media").mkdir(parents=True)
    clips.mkdir()
    database = folder / "label_studio.sqlite3"
    database.write_text("tokens and passwords")
    database.chmod(0o644)
    folder.chmod(0o755)
    studio = LocalStudio(folder, clips, 8080, tmp_path)
    assert all(is_private(each) for each in (folder, database, folder / "login.json"))
    assert [each.name for each in studio.document_root.iterdir()] == ["clips"]
    assert (studio.document_root / "clips").samefile(clips)
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    again = LocalStudio(moved / "label-studio", moved / "clips", 8080, moved)
    assert (again.document_root / "clips").samefile(moved / "clips")
    assert again.login.token == studio.login.token
    assert (moved / "clips").stat().st_mode & 0o077 != 0, "others may go on reading the clips"


def test_only_the_service_can_be_reached_of_what_is_private():
    banned = [ipaddress.ip_network(each) for each in banned_networks("127.0.0.1").split(",")]

    def is_banned(address: str) -> bool:
        return any(ipaddress.ip_address(address) in each for each in banned)

    for address in ("127.0.0.2", "10.1.2.3", "169.254.169.254", "192.168.1.1", "172.17.0.1", "::1"):
        assert is_banned(address)
    assert not is_banned("127.0.0.1")
    assert not is_banned("93.184.216.34")


def test_docker_compose_is_as_closed_as_a_private_label_studio():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services = compose["services"]
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert service["cap_drop"] == ["ALL"], name
    assert services["studio"]["user"] == "1001:0"
    assert "USER 1001" in (ROOT / "Dockerfile").read_text()
    said = services["studio"]["environment"]
    assert said["LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK"] == "true"
    assert said["SSRF_PROTECTION_ENABLED"] == said["ML_BLOCK_LOCAL_IP"] == "true"
    address = services["backend"]["networks"]["labeling"]["ipv4_address"]
    assert said["USER_ADDITIONAL_BANNED_SUBNETS"] == banned_networks(address)
    [clips, own] = services["studio"]["volumes"]
    assert clips.endswith("/workspace/clips:/served/clips:ro")
    assert own.startswith("studio:")
