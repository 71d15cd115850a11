"""A TCP proxy that cuts its first connections: cutting-proxy.py PORT_FILE TARGET_PORT DIRECTION:BYTES...

Connection number n is cut, with a reset, when BYTES of the n-th argument have gone in DIRECTION ("up" to the target, "down"
from it); "freeze-up:BYTES" and "freeze-down:BYTES" keep it open and carry nothing more. Those after the last argument are
carried whole.
"""
import os
import select
import socket
import struct
import sys
import threading


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def carry(client, target_port, rule):
    server = socket.create_connection(("127.0.0.1", target_port))
    ways = {client: (server, "up"), server: (client, "down")}
    left = {"up": None, "down": None}
    frozen = False
    if rule:
        direction, size = rule.rsplit(":", 1)
        frozen = direction.startswith("freeze-")
        left[direction.removeprefix("freeze-")] = int(size)
    while ways:
        for sock in select.select(list(ways), [], [])[0]:
            peer, way = ways[sock]
            data = sock.recv(65536)
            if left[way] is not None:
                data = data[: left[way]]
                left[way] -= len(data)
            try:
                peer.sendall(data)
                if not data and left[way] != 0:
                    peer.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            if not data and left[way] != 0:
                del ways[sock]
            if left[way] == 0:
                if frozen:
                    threading.Event().wait()
                reset(client)
                reset(server)
                return
    client.close()
    server.close()


def main():
    port_file, target_port, rules = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(20)
    with open(port_file + ".new", "w", encoding="ascii") as file:
        file.write(str(listener.getsockname()[1]))
    os.rename(port_file + ".new", port_file)
    while True:
        client = listener.accept()[0]
        rule = rules.pop(0) if rules else None
        threading.Thread(target=carry, args=(client, target_port, rule), daemon=True).start()


main()
