import io
import json

import pytest

from devstack.console import Console


@pytest.fixture
def stream():
    return io.StringIO()


def test_a_json_line_becomes_a_sentence_with_the_name_in_front(tmp_path, stream):
    say = Console(tmp_path, raw=False, stream=stream).sink("billing")

    say(json.dumps({"event": "order_held", "level": "info", "order_id": "o-1", "service": "b"}))

    line = stream.getvalue()
    assert "billing     order_held" in line
    assert line.endswith(" order_id=o-1\n")
    assert "service=" not in line


def test_a_traceback_keeps_its_lines_and_an_error_its_level(tmp_path, stream):
    say = Console(tmp_path, raw=False, stream=stream).sink("vpn")

    say(json.dumps({"event": "broke", "level": "error", "exception": "Traceback\n  File"}))

    assert "ERROR broke" in stream.getvalue()
    assert stream.getvalue().endswith("\nTraceback\n  File\n")


@pytest.mark.parametrize("line", ["plain words", "[1, 2]", "{broken", "7"])
def test_any_other_line_is_shown_as_it_came(tmp_path, stream, line):
    Console(tmp_path, raw=False, stream=stream).sink("comfyui")(line)

    assert stream.getvalue().endswith(f"comfyui     {line}\n")


def test_raw_output_is_for_programs(tmp_path, stream):
    Console(tmp_path, raw=True, stream=stream).sink("billing")('{"event": "x"}')

    assert stream.getvalue() == '{"event": "x"}\n'


def test_the_usual_start_of_nats_is_kept_in_its_file_alone(tmp_path, stream):
    say = Console(tmp_path, raw=False, stream=stream).sink("nats")

    say("[77] 2026/11/21 23:47:49.324125 [INF] Server is ready")
    say("[77] 2026/11/21 23:47:49.324125 [WRN] Disk is slow")

    assert "Server is ready" not in stream.getvalue()
    assert "nats        [WRN] Disk is slow" in stream.getvalue()
    assert (tmp_path / "nats.log").read_text().count("\n") == 2
