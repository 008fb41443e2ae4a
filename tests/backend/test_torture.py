"""The kill campaign `scripts/torture.py` sees a mask that is lost or changed."""

from pathlib import Path

import numpy as np

import scripts.torture as torture
from labeler.mask import encode_mask, mask_digest
from labeler.revision import Draft
from labeler.workspace.workspace import Workspace


def test_a_lost_and_a_changed_mask_are_seen(tmp_path: Path) -> None:
    campaign = torture.Campaign(tmp_path, seed=0)
    workspace = Workspace(campaign.root)
    clip, mask = workspace.clip("walk"), campaign.mask(1)
    kept = workspace.record(clip, 5, mask, Draft("ann"))
    campaign.acknowledge({("walk", 5, mask_digest(mask))})
    assert campaign.lost() == []

    never = mask_digest(campaign.mask(2))
    campaign.acknowledge({("walk", 10, never)})
    assert campaign.lost() == [f"lost mask: walk 10 {never}"]

    path = workspace.mask_path(kept)
    path.chmod(0o600)
    path.write_bytes(encode_mask(np.zeros_like(mask)))
    assert campaign.lost()[0] == f"changed: {path}"
