import torch

from model.engines.pdnet.features import Features
from model.nn.pictures import cell_average, to_input
from tests.model.networks import CELLS, images, make


def test_features_are_selected_joined_moved_and_weighed() -> None:
    with torch.no_grad():
        features = make().encode(images(3))
    assert len(features) == 3
    again = Features.cat([features[2:], features[torch.tensor([0, 1])]])[[1, 2, 0]]
    for name, value in vars(features).items():
        assert torch.equal(vars(again)[name], value)
    assert features[1:].parts.data_ptr() == features.parts[1:].data_ptr()
    numbers = 32 * 16 * 24 + (3 * 16 + 1 + 3) * CELLS[0] * CELLS[1]
    assert features.nbytes == 3 * 4 * numbers
    half = features.to("cpu", torch.float16)
    assert half.parts.dtype == torch.float16
    assert half.nbytes == features.nbytes // 2


def test_input_is_rgb_as_imagenet_has_it() -> None:
    blue = torch.tensor([255, 0, 0], dtype=torch.uint8).expand(1, 2, 3, 3)
    expected = torch.tensor([-0.485 / 0.229, -0.456 / 0.224, (1 - 0.406) / 0.225])
    made = to_input(blue)
    assert made.shape == (1, 3, 2, 3)
    torch.testing.assert_close(made[0, :, 1, 2], expected)


def test_cell_average_keeps_the_area() -> None:
    mask = torch.zeros(1, 2, 1, 16, 24, dtype=torch.bool)
    mask[0, 1, 0, :4, :12] = True
    cells = cell_average(mask, (2, 3))
    expected = torch.tensor([[0.5, 0.25, 0.0], [0.0, 0.0, 0.0]])
    assert torch.equal(cells[0, :, 0], torch.stack([torch.zeros(2, 3), expected]))
