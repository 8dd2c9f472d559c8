"""Reads a key log as C2SP's tlog-tiles, tlog-checkpoint and signed-note and RFC 9162 say. Argument: the log's address.

Written from the specifications alone. Nothing but the Ed25519 verification comes from a library.
"""

import base64
import hashlib
import json
import sys
import urllib.request

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

prefix = sys.argv[1]


def get(path):
    with urllib.request.urlopen(f"{prefix}/{path}", timeout=10) as answer:
        return answer.read()


def number(n):
    text = f"{n:d}"
    text = text.zfill((len(text) + 2) // 3 * 3)
    parts = [text[at : at + 3] for at in range(0, len(text), 3)]
    return "/".join(["x" + part for part in parts[:-1]] + parts[-1:])


def tiles(level, count):
    """All that a level of this many hashes or entries is served as."""
    for n in range((count + 255) // 256):
        width = min(256, count - n * 256)
        yield get(f"tile/{level}/{number(n)}" + ("" if width == 256 else f".p/{width}")), width


def sha(data):
    return hashlib.sha256(data).digest()


def mth(entries):
    """RFC 9162, 2.1.1."""
    if not entries:
        return sha(b"")
    if len(entries) == 1:
        return sha(b"\0" + entries[0])
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha(b"\1" + mth(entries[:k]) + mth(entries[k:]))


def path(m, entries):
    """RFC 9162, 2.1.3.1."""
    if len(entries) == 1:
        return []
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m < k:
        return path(m, entries[:k]) + [mth(entries[k:])]
    return path(m - k, entries[k:]) + [mth(entries[:k])]


def subproof(m, entries, complete):
    """RFC 9162, 2.1.4.1."""
    if m == len(entries):
        return [] if complete else [mth(entries)]
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m <= k:
        return subproof(m, entries[:k], complete) + [mth(entries[k:])]
    return subproof(m - k, entries[k:], False) + [mth(entries[:k])]


# The signed note.
name, key_id, key = get("vkey").decode().rstrip("\n").split("+", 2)
key = base64.b64decode(key, validate=True)
assert key[0] == 1 and len(key) == 33
assert sha(name.encode() + b"\n" + key)[:4].hex() == key_id
text, _, signatures = get("checkpoint").decode().rpartition("\n\n")
text += "\n"
(line,) = signatures.rstrip("\n").split("\n")
dash, signer, signature = line.split(" ")
signature = base64.b64decode(signature, validate=True)
assert (dash, signer, signature[:4].hex()) == ("\u2014", name, key_id)
Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], text.encode())

# The checkpoint.
origin, size, root, rest = text.split("\n")
size, root = int(size), base64.b64decode(root, validate=True)
assert origin == name and rest == "" and origin == prefix.split("://")[1]

# The entries.
entries = []
for bundle, width in tiles("entries", size):
    at = 0
    for _ in range(width):
        length = int.from_bytes(bundle[at : at + 2], "big")
        entries.append(bundle[at + 2 : at + 2 + length])
        at += 2 + length
    assert at == len(bundle)
assert all(json.loads(entry)["v"] == 1 for entry in entries)
assert mth(entries) == root

# The tiles of every level.
level, count = 0, size
while count:
    hashes = b"".join(tile for tile, _ in tiles(level, count))
    span = 256**level
    assert hashes == b"".join(mth(entries[n * span : (n + 1) * span]) for n in range(count)), f"level {level}"
    level, count = level + 1, count // 256

# The proofs.
some = sorted({n for n in (1, 2, 3, 255, 256, 257, 400, 511, 512, 513, size - 1, size) if 1 <= n <= size})
for at in some:
    for index in {0, at // 2, at - 1}:
        proof = json.loads(get(f"proof/inclusion?index={index}&size={at}"))
        assert base64.b64decode(proof["leaf_hash"]) == sha(b"\0" + entries[index])
        assert [base64.b64decode(h) for h in proof["hashes"]] == path(index, entries[:at]), (index, at)
    for to in some:
        if at <= to:
            proof = json.loads(get(f"proof/consistency?from={at}&to={to}"))
            assert [base64.b64decode(h) for h in proof["hashes"]] == subproof(at, entries[:to], True), (at, to)

print(f"good {size}")
