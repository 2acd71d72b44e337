"""Two ends that share a key prove it to each other; whoever does not know it learns nothing and gets nowhere."""

from __future__ import annotations

import json
import os
import socket
import threading

import pytest

from openjd_adapt import system
from openjd_adapt.errors import InputError, NoDaemonError, WireError
from openjd_adapt.transport import connection_file
from openjd_adapt.transport.connection_file import bind
from openjd_adapt.transport.loop import Listener, Loop, Peer
from openjd_adapt.transport.wire import KEY_BYTES, Claimant, Decoder, Verifier, encode, hello

from .conftest import HANG_SECONDS, wait_until

pytestmark = [pytest.mark.core, pytest.mark.windows_core]

KEY = bytes(range(KEY_BYTES))
OTHER = bytes(KEY_BYTES)


def test_both_ends_are_satisfied_if_they_share_the_key():
    claimant, verifier = Claimant(KEY), Verifier(KEY)
    answer = verifier.hear(claimant.first())
    assert not verifier.satisfied
    assert verifier.hear(claimant.answer(answer)) is None
    assert verifier.satisfied


def test_the_key_is_never_said():
    claimant, verifier = Claimant(KEY), Verifier(KEY)
    first = claimant.first()
    answer = verifier.hear(first)
    said = json.dumps([first, answer, claimant.answer(answer)])
    assert KEY.hex() not in said


def test_who_connects_says_no_proof_to_a_listener_without_the_key():
    claimant, impostor = Claimant(KEY), Verifier(OTHER)
    with pytest.raises(WireError, match="does not know the key"):
        claimant.answer(impostor.hear(claimant.first()))


def test_a_listener_is_not_satisfied_by_a_proof_with_another_key():
    claimant, verifier = Claimant(OTHER), Verifier(KEY)
    nonce = verifier.hear(claimant.first())["nonce"]
    forged = Claimant(OTHER)
    forged._nonce = claimant._nonce
    proof = {"nonce": nonce, "proof": _proof_of(OTHER, b"server", claimant._nonce + bytes.fromhex(nonce))}
    with pytest.raises(WireError, match="does not know the key"):
        verifier.hear(forged.answer(proof))
    assert not verifier.satisfied


def _proof_of(key, role, nonces):
    import hmac

    return hmac.new(key, role + nonces, "sha256").hexdigest()


def test_an_overheard_proof_is_good_for_nothing_in_another_conversation():
    claimant, verifier = Claimant(KEY), Verifier(KEY)
    first = claimant.first()
    proof = claimant.answer(verifier.hear(first))
    another = Verifier(KEY)
    another.hear(first)
    with pytest.raises(WireError):
        another.hear(proof)


def test_a_proof_that_comes_back_to_where_it_was_made_fits_nowhere():
    one, two = Verifier(KEY), Verifier(KEY)
    reflected = two.hear(one.hear(Claimant(KEY).first()))
    with pytest.raises(WireError):
        one.hear(reflected)


@pytest.mark.parametrize(
    "message", [{}, {"nonce": 7}, {"nonce": "xx"}, {"nonce": "00"}, {"nonce": None}, {"hello": 1}, {"proof": "00" * 32}]
)
def test_what_is_no_nonce_is_refused(message):
    with pytest.raises(WireError, match="did not prove"):
        Verifier(KEY).hear(message)


# With real connections


@pytest.fixture
def keyed(tmp_path, monkeypatch):
    """A daemon's end as on a system where peers must prove themselves; what known peers say is noted."""
    monkeypatch.setattr(system, "KEYED", True)
    writer = bind(str(tmp_path / "connection.json"), str(tmp_path / "private"))
    writer.publish("Probe")
    loop = Loop()
    said = []
    listener = Listener(loop, lambda peer, message, body: said.append(message), lambda peer: None, key=writer.key)
    listener.listen(writer.listener)
    stop = threading.Event()

    def serve():
        while not stop.is_set():
            loop.timers.set("tick", 0.02, bool)
            loop.turn()
            listener.drop_closed()

    thread = threading.Thread(target=serve)
    thread.start()
    writer.said = said
    yield writer
    stop.set()
    thread.join()
    writer.listener.close()
    os.close(writer.descriptor)


def test_a_command_with_the_file_is_heard(keyed):
    peer = Peer(connection_file.ConnectionFileReader(keyed.path).connect())
    peer.send(hello("here"))
    peer.send({"do": "status"})
    wait_until(lambda: keyed.said == [{"do": "status"}])
    peer.close()


def test_nobody_is_heard_without_the_key_and_is_told_nothing(keyed):
    file = connection_file.ConnectionFileReader(keyed.path)
    connection = file.endpoint.connect()
    connection.sendall(encode(hello("here")) + encode({"do": "stop"}))
    answer = read_to_end(connection)
    assert [set(message) for message in answer] == [{"error", "code"}]
    connection = file.endpoint.connect()
    connection.sendall(encode(Claimant(OTHER).first()) + encode({"proof": "00" * 32}) + encode({"do": "stop"}))
    answer = read_to_end(connection)
    assert [set(message) for message in answer] == [{"nonce", "proof"}, {"error", "code"}]
    assert keyed.said == []


@pytest.mark.posix_only
def test_a_listener_that_does_not_know_the_key_is_refused_by_the_command(keyed, tmp_path):
    record = json.loads((tmp_path / "connection.json").read_text().splitlines()[0])
    record["key"] = OTHER.hex()
    rewrite(keyed, record)
    with pytest.raises(InputError, match="who listens at .*: the peer does not know the key"):
        connection_file.ConnectionFileReader(keyed.path).connect()


@pytest.mark.posix_only
def test_a_listener_that_says_nothing_is_given_up(keyed, tmp_path, monkeypatch):
    monkeypatch.setattr(connection_file, "HANDSHAKE_SECONDS", 0.2)
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "silent"))
    silent.listen(1)
    record = json.loads((tmp_path / "connection.json").read_text().splitlines()[0])
    record["address"] = "silent"
    rewrite(keyed, record)
    with pytest.raises(NoDaemonError, match="does not answer"):
        connection_file.ConnectionFileReader(keyed.path).connect()
    silent.close()


def rewrite(writer, record):
    line = json.dumps(record).encode() + b"\n"
    os.ftruncate(writer.descriptor, 0)
    os.pwrite(writer.descriptor, line, 0)


def read_to_end(connection):
    decoder, found = Decoder(4096), []
    connection.settimeout(HANG_SECONDS)
    data = connection.recv(4096)
    while data:
        found += [message for message, _ in decoder.feed(data)]
        data = connection.recv(4096)
    connection.close()
    return found
