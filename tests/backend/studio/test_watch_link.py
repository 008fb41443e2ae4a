"""The link from a task to its clip's page: in the label config and in the task's data."""

import html
import re
import xml.etree.ElementTree as ElementTree

import pytest

from backend.page_links import page_key, page_path
from backend.settings import Settings
from backend.studio.projects import Role, plans
from tests.workspaces import make_clip


def links(settings):
    """The addresses in the label configs, by role; None where there is none."""
    found = {}
    for plan in plans(settings):
        shown = ElementTree.fromstring(plan.label_config).iter("Markdown")
        texts = [
            html.unescape(at) for e in shown for at in re.findall("href='(.*?)'", e.get("value"))
        ]
        found[plan.role] = texts[0] if texts else None
    return found


def test_tasks_lead_to_the_page_at_their_frame_but_not_where_masks_are_hidden():
    where = "http://127.0.0.1:9090$watch#$frame"
    assert links(Settings()) == {
        Role.LABELING: where,
        Role.CHECK: where,
        Role.BLIND: None,
        Role.DECIDE: where,
    }
    blind = links(Settings(check="blind"))
    assert blind == {Role.LABELING: where, Role.BLIND: None, Role.DECIDE: where}
    assert Role.DECIDE not in links(Settings(check="none"))


@pytest.mark.parametrize("address", ["https://labels.example/mvps/", "http://[::1]:9090"])
def test_people_may_reach_the_service_at_another_address_than_label_studio(address):
    settings = Settings(backend_url="http://backend:9090", pages_url=address)
    assert links(settings)[Role.LABELING] == f"{address.rstrip('/')}$watch#$frame"


def test_odd_characters_of_an_address_leave_the_config_well_formed():
    [link, *_] = links(Settings(pages_url="http://x/?a=1&b='<>\"")).values()
    assert link == 'http://x/?a=1&b=%27<>"$watch#$frame'


def test_the_path_in_the_data_opens_the_page(client, workspace):
    clip = make_clip(workspace)
    assert client.get(page_path(page_key(workspace.root), clip.name)).status_code == 303
