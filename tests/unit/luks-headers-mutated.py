#!/usr/bin/python3
"""luks-headers-mutated.py PROBE [COUNT]: whatever stands in a LUKS header, it opens, or does not, or is an error.

Headers of both versions are damaged at random (always the same random), cut short, and filled with numbers that are out
of all reason; those of LUKS2 get checksums that are right again, so that what they say is read. The probe, which tries
each of them, must live through it, in reasonable time.
"""
import hashlib
import os
import random
import re
import subprocess
import sys
import tempfile

PROBE, COUNT = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 150

# LUKS1, 592 bytes, all numbers with the big end first. How much work it is to try a key is not left to chance.
LUKS1_SIZE = 592
LUKS1_WORK = {164: 4} | {208 + 48 * slot + 4: 4 for slot in range(8)}
LUKS1_NUMBERS = {4: 2, 104: 4, 108: 4, 208: 4, 212: 4, 248: 4, 252: 4, 256: 4, 164: 4}

# LUKS2: two copies of a binary header of 4096 bytes and JSON, 16 KiB together.
LUKS2_COPY, LUKS2_BINARY, LUKS2_CHECKSUM = 16384, 4096, slice(448, 512)
LUKS2_NUMBERS = {6: 2, 8: 8, 16: 8, 256: 8}

EXTREMES = [0, 1, 2, 255, 511, 4095, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]


def with_number(header, at, size, value):
    header[at:at + size] = (value % 2**(8 * size)).to_bytes(size, "big")


def luks1(base):
    """Headers made from `base`, with what was done to each."""
    for at, size in LUKS1_NUMBERS.items():
        for value in EXTREMES:
            header = bytearray(base)
            with_number(header, at, size, value)
            yield header
    forbidden = {byte for at, size in LUKS1_WORK.items() for byte in range(at, at + size)}
    allowed = [byte for byte in range(LUKS1_SIZE) if byte not in forbidden]
    for _ in range(COUNT):
        header = bytearray(base)
        for _ in range(random.choice((1, 1, 2, 8, 64))):
            header[random.choice(allowed)] = random.randrange(256)
        yield header
    for size in 0, 5, 6, 208, 591, 592, 4096:
        yield bytearray(base[:size])


def sealed(copy):
    """A copy of the LUKS2 header with the checksum that it ought to have."""
    copy[LUKS2_CHECKSUM] = bytes(64)
    copy[LUKS2_CHECKSUM] = hashlib.sha256(copy).digest().ljust(64, b"\0")
    return copy


def with_json(base, text):
    """Both copies with this JSON."""
    header = bytearray(base)
    for start in 0, LUKS2_COPY:
        copy = header[start:start + LUKS2_COPY]
        copy[LUKS2_BINARY:] = text[:LUKS2_COPY - LUKS2_BINARY].ljust(LUKS2_COPY - LUKS2_BINARY, b"\0")
        header[start:start + LUKS2_COPY] = sealed(copy)
    return header


def luks2_json(text):
    """JSON made from `text`: each number extreme, each word another, and what is no JSON any more."""
    for number in re.finditer(rb'"?\d+"?', text):
        for value in -1, 0, 1, 4095, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 2**70:
            in_work = text[:number.start()].endswith(b'"iterations":')
            if in_work and 10**6 < value <= 10**9:
                continue
            quote = b'"' if number[0].startswith(b'"') else b""
            yield text[:number.start()] + quote + b"%d" % value + quote + text[number.end():]
    for word in re.finditer(rb'"[^"]*"|\[[^]]*\]|\{\}', text):
        for other in b'""', b'"' + b"a" * 3000 + b'"', b'"\\u0000%s%n\\n"', b"null", b"[]", b"{}", b"[" * 200:
            yield text[:word.start()] + other + text[word.end():]
    for _ in range(COUNT):
        damaged = bytearray(text)
        damaged[random.randrange(len(text))] = random.choice(b'"{}[]:,\\0\x01\xff')
        yield bytes(damaged)
    yield b"{" * 12000
    yield text[:-1]


def luks2(base):
    text = bytes(base[LUKS2_BINARY:LUKS2_COPY]).rstrip(b"\0")
    every = list(luks2_json(text))
    for damaged in random.sample(every, min(len(every), 3 * COUNT)):
        yield with_json(base, damaged)
    for at, size in LUKS2_NUMBERS.items():
        for value in EXTREMES:
            header = bytearray(base)
            for start in 0, LUKS2_COPY:
                copy = header[start:start + LUKS2_COPY]
                with_number(copy, at, size, value)
                header[start:start + LUKS2_COPY] = sealed(copy)
            yield header
    for _ in range(COUNT):
        header = bytearray(base)
        header[random.randrange(2 * LUKS2_COPY)] ^= 1 << random.randrange(8)
        yield header
    for size in 0, 6, 4095, 4096, 16384, 32768:
        yield bytearray(base[:size])


class Probe:
    def __init__(self):
        self.process = subprocess.Popen([PROBE, "try"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, image):
        """What became of it, one line."""
        self.process.stdin.write(image.encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"FAILED: the probe ended with {self.process.wait()}")
        return line.rstrip(b"\n")

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            sys.exit(f"FAILED: the probe ended with {self.process.returncode}")


def try_all(directory, version, mutate):
    image = os.path.join(directory, version)
    subprocess.run([PROBE, "make", version, image], check=True)
    with open(image, "rb") as file:
        whole = file.read()
    probe, counts = Probe(), {b"fits": 0, b"wrong": 0, b"error": 0}
    if probe.say(image) != b"fits":
        sys.exit(f"FAILED: the header of {version} is not opened as it is")
    size = LUKS1_SIZE if version == "LUKS1" else 2 * LUKS2_COPY
    for number, header in enumerate(mutate(whole[:size])):
        # One that is cut short is all there is.
        content = bytes(header) + (whole[size:] if len(header) == size else b"")
        with open(image, "wb") as file:
            file.write(content)
        said = probe.say(image)
        if said not in counts and (len(said) < 20 or re.search(rb"[\x00-\x1f\x7f]", said)):
            sys.exit(f"FAILED: {version} number {number}: {said}")
        counts[said if said in counts else b"error"] += 1
    probe.end()
    print(version, {word.decode(): count for word, count in counts.items()})
    # If most of them were to fit or to fail there would be something wrong with this test.
    if not counts[b"error"] or not counts[b"fits"] + counts[b"wrong"]:
        sys.exit("FAILED: all headers have the same fate")


random.seed(1)
with tempfile.TemporaryDirectory() as scratch:
    try_all(scratch, "LUKS1", luks1)
    try_all(scratch, "LUKS2", luks2)
