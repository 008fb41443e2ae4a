import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.window import LEAST, NARROWEST, ROOM, WIDEST, close_up, close_up_of


@given(st.data())
def test_a_close_up_is_inside_the_picture_and_holds_the_box(data):
    width, height = data.draw(st.tuples(st.integers(32, 2000), st.integers(32, 2000)))
    left, right = sorted(data.draw(st.tuples(*[st.integers(0, width - 1)] * 2)))
    top, bottom = sorted(data.draw(st.tuples(*[st.integers(0, height - 1)] * 2)))
    seen = close_up((left, top, right + 1, bottom + 1), (width, height))
    slack = 1e-6 * max(width, height)
    assert -slack <= seen.left <= left
    assert -slack <= seen.top <= top
    assert right + 1 <= seen.left + seen.width + slack <= width + 2 * slack
    assert bottom + 1 <= seen.top + seen.height + slack <= height + 2 * slack
    assert seen.width >= LEAST * width - slack
    assert seen.height >= LEAST * height - slack
    if seen.width < width - slack:
        assert seen.width / seen.height >= NARROWEST - 1e-6
    if seen.height < height - slack:
        assert seen.width / seen.height <= WIDEST + 1e-6


def test_somebody_in_the_middle_has_room_on_every_side():
    mask = np.zeros((1000, 1000), np.bool_)
    mask[300:700, 350:650] = True
    rows, columns = close_up_of(mask).pixels
    assert (rows.start, rows.stop) == (240, 760)  # 400 high, and as much as ROOM says
    assert ROOM == 1.3
    assert (columns.start, columns.stop) == (292, 708)  # not narrower than 0.8 of its height


def test_small_pieces_are_left_aside_and_nobody_has_no_close_up():
    mask = np.zeros((200, 400), np.bool_)
    assert close_up_of(mask) is None
    mask[60:140, 50:110] = True
    alone = close_up_of(mask)
    mask[5:15, 380:395] = True
    assert close_up_of(mask) == alone
    mask[60:140, 330:390] = True  # as large: a second person
    both = close_up_of(mask)
    assert both.left <= 50
    assert both.left + both.width >= 390


def test_pixels_are_whole_and_fit_what_is_pasted():
    mask = np.zeros((97, 131), np.bool_)
    mask[40:60, 90:131] = True
    rows, columns = close_up_of(mask).pixels
    assert mask[rows, columns].sum() == mask.sum()
    assert columns.stop == 131
    with pytest.raises(AttributeError):
        close_up_of(mask).left = 3
