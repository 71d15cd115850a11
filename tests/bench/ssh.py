#!/usr/bin/env python3
"""ssh.py PROBE [OPTIONS]

How fast bytes go through a session, against ssh(1), in turns, in the same run: to a server on the loopback, from it, and
both at once, with the same cipher. PROBE is tests/unit/ssh-probe.
"""
import argparse
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time

MIB = 1024 * 1024


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """An sshd with keys of its own, and a client configuration for it."""

    def __init__(self, directory):
        self.port, self.directory = free_port(), directory
        for name in "host", "user":
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{directory}/{name}"], check=True)
        with open(f"{directory}/sshd", "w", encoding="ascii") as f:
            f.write(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nStrictModes no\n"
                    f"AuthorizedKeysFile {directory}/user.pub\nPermitRootLogin yes\nPidFile {directory}/pid\n")
        with open(f"{directory}/host.pub", encoding="ascii") as f:
            key = " ".join(f.read().split()[:2])
        with open(f"{directory}/known", "w", encoding="ascii") as f:
            f.write(f"[127.0.0.1]:{self.port} {key}\n")
        os.makedirs("/run/sshd", exist_ok=True)
        subprocess.run(["/usr/sbin/sshd", "-f", f"{directory}/sshd", "-E", f"{directory}/log"], check=True)

    def configuration(self, cipher):
        path = f"{self.directory}/config-{cipher}"
        with open(path, "w", encoding="ascii") as f:
            f.write(f"HostName 127.0.0.1\nPort {self.port}\nIdentityFile {self.directory}/user\nIdentityAgent none\n"
                    f"UserKnownHostsFile {self.directory}/known\nCiphers {cipher}\n")
        os.chmod(path, 0o600)
        return path

    def stop(self):
        with open(f"{self.directory}/pid", encoding="ascii") as f:
            os.kill(int(f.read()), signal.SIGTERM)


def run(command, data):
    """Return seconds of wall time, and of the client's CPU."""
    before, began = os.times(), time.monotonic()
    with open(data if data else os.devnull, "rb") as stdin, open(os.devnull, "wb") as stdout:
        subprocess.run(command, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL, check=True)
    wall, after = time.monotonic() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("probe")
    parser.add_argument("--size", type=int, default=1024, help="MiB in each direction")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ciphers", nargs="*", default=["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
    options = parser.parse_args()
    count = options.size * MIB
    ways = {"to the server": ("cat >/dev/null", True), "from the server": (f"head -c {count} /dev/zero", False),
            "both at once": ("cat", True)}
    with tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/data"
        with open(data, "wb") as f:
            f.truncate(count)
        server = Server(directory)
        try:
            for cipher in options.ciphers:
                file = server.configuration(cipher)
                clients = {"ssh": ["ssh", "-F", file, "x"], "ours": [options.probe, "-F", file, "run", "x"]}
                for way, (command, has_input) in ways.items():
                    costs = {name: [] for name in clients}
                    for _ in range(options.rounds):
                        for name, client in clients.items():
                            costs[name].append(run(client + [command], data if has_input else None))
                    wall = {name: statistics.median(cost[0] for cost in costs[name]) for name in clients}
                    cpu = {name: statistics.median(cost[1] for cost in costs[name]) for name in clients}
                    print(f"{cipher:30} {way:16} ours {options.size / wall['ours']:6.0f} MiB/s, "
                          f"ssh {options.size / wall['ssh']:6.0f} MiB/s: {wall['ssh'] / wall['ours']:.2f} times as fast, "
                          f"{cpu['ours'] / cpu['ssh']:.2f} of its cpu time", flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
