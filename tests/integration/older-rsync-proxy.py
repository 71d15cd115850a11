"""A client of an rsync daemon looks older than it is: older-rsync-proxy.py PORT_FILE HOST TARGET_PORT PROTOCOL WITHOUT

Both sides are told that the other speaks PROTOCOL, and the capabilities in WITHOUT (letters) are taken out of the client's
arguments, so that the daemon does as it does with clients that have not got them: without `i` there is one list for the
whole tree, without `v` flags are bytes and no names of algorithms are exchanged. All else goes through as it is.
"""
import os
import re
import socket
import sys
import threading

ARGUMENTS = re.compile(rb"--server\x00(?:--sender\x00)?(-[A-Za-z]*e\.)([A-Za-z]*)\x00")


def older(line, protocol):
    return re.sub(rb"^@RSYNCD: \d+\.\d+", b"@RSYNCD: %d.0" % protocol, line)


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def line_of(sock):
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            break
        line += byte
    return line


def up(client, server, protocol, without):
    server.sendall(older(line_of(client), protocol))
    seen = b""
    while not (found := ARGUMENTS.search(seen)):
        data = client.recv(65536)
        if not data:
            break
        seen += data
        # Of lines nothing is held back: the daemon waits for them.
        if b"--server" not in seen and seen.endswith(b"\n"):
            server.sendall(seen)
            seen = b""
    if found:
        kept = bytes(letter for letter in found[2] if letter not in without)
        seen = seen[: found.start(2)] + kept + seen[found.end(2):]
    server.sendall(seen)
    pump(client, server)


def carry(client, target, protocol, without):
    server = socket.create_connection(target)
    threading.Thread(target=up, args=(client, server, protocol, without), daemon=True).start()
    client.sendall(older(line_of(server), protocol))
    pump(server, client)


def main():
    port_file, host, port, protocol, without = sys.argv[1:]
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(20)
    with open(port_file + ".new", "w", encoding="ascii") as file:
        file.write(str(listener.getsockname()[1]))
    os.rename(port_file + ".new", port_file)
    while True:
        client = listener.accept()[0]
        threading.Thread(target=carry, args=(client, (host, int(port)), int(protocol), without.encode()),
                         daemon=True).start()


main()
