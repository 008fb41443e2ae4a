import pytest
import torch

from model.nn.resnet import ResNet


@pytest.fixture
def seeded() -> None:
    """The same random numbers of torch whichever tests ran before."""
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def body() -> ResNet:
    """A backbone for the semantic loss to freeze."""
    torch.manual_seed(1)
    return ResNet("resnet18").eval()
