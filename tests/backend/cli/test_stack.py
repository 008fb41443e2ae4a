import socket

from backend.cli.stack import claimed_port


def test_a_port_is_claimed_by_one_stack_even_while_nobody_listens(tmp_path):
    with claimed_port(18080, tmp_path) as first, claimed_port(18080, tmp_path) as second:
        assert first < second
    with claimed_port(first, tmp_path) as again:
        assert again == first


def test_a_port_that_somebody_listens_on_is_left_alone(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with claimed_port(taken, tmp_path) as port:
            assert port > taken
