//! The Merkle tree of a log: hashes, growing at the right edge, and proofs.
//!
//! Invariant: a leaf is never hashed like an inner node (RFC 9162, 2.1.1), so that no entry can pose as a part of the tree.

use std::ops::Range;

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A SHA-256.
pub type Hash = [u8; 32];

/// How many levels of the tree one tile spans: hashes are stored at the levels that it divides, the others are recomputed.
pub const TILE_HEIGHT: u8 = 8;

fn hash_of(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The hash of an entry.
///
/// Source: RFC 9162, 2.1.1.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    hash_of(&[&[0], entry])
}

fn inner(left: &Hash, right: &Hash) -> Hash {
    hash_of(&[&[1], left, right])
}

/// The root of a tree without entries.
pub fn empty_root() -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, b"").as_ref());
    hash
}

/// A full subtree of `2^level` entries: the `index`-th of its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    pub level: u8,
    pub index: u64,
}

impl Node {
    /// The stored hashes that this node is made of: their level, and which of them.
    pub fn stored(self) -> (u8, Range<u64>) {
        let above = self.level % TILE_HEIGHT;
        (self.level - above, self.index << above..(self.index + 1) << above)
    }
}

/// The hash over a full subtree, from the hashes of one of its levels. `hashes` are `2^n` of them, n being 0 or more.
pub fn full_subtree(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level.chunks_exact(2).map(|pair| inner(&pair[0], &pair[1])).collect();
    }
    level.first().copied()
}

/// The full subtrees that a range of entries falls into, the largest first. `start` is a multiple of the largest one's size.
///
/// Source: RFC 9162, 2.1.1, the definition of MTH, followed down to full subtrees.
pub fn nodes_of(range: &Range<u64>) -> Vec<Node> {
    let (mut at, mut nodes) = (range.start, Vec::new());
    while at < range.end {
        let level = u8::try_from((range.end - at).ilog2()).unwrap_or(u8::MAX);
        nodes.push(Node { level, index: at >> level });
        at += 1 << level;
    }
    nodes
}

/// The Merkle tree hash over what [`nodes_of`] named, from their hashes in that order.
pub fn join(hashes: &[Hash]) -> Option<Hash> {
    let (last, larger) = hashes.split_last()?;
    Some(larger.iter().rev().fold(*last, |right, left| inner(left, &right)))
}

/// All of a tree that is needed to append to it: the hashes of its full subtrees, the largest first. One for each 1 in the
/// binary number of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// Reads what [`Self::to_bytes`] wrote; `None` when it does not fit the size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        (rest.is_empty() && hashes.len() == size.count_ones() as usize).then(|| Self { size, hashes: hashes.to_vec() })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.concat()
    }

    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry by its hash. Answers the hashes to be stored: the entry's own, and one for each tile that it completes.
    pub fn push(&mut self, leaf: Hash) -> Vec<(Node, Hash)> {
        let (mut hash, mut level) = (leaf, 0);
        let mut stored = vec![(Node { level, index: self.size }, leaf)];
        while self.size >> level & 1 == 1
            && let Some(left) = self.hashes.pop()
        {
            hash = inner(&left, &hash);
            level += 1;
            if level % TILE_HEIGHT == 0 {
                stored.push((Node { level, index: self.size >> level }, hash));
            }
        }
        self.hashes.push(hash);
        self.size += 1;
        stored
    }

    /// The root over everything that was appended.
    pub fn root(&self) -> Hash {
        join(&self.hashes).unwrap_or_else(empty_root)
    }
}

/// The largest power of two that is smaller than `size`, which is at least 2.
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// What an inclusion proof of entry `index` in a tree of `size` consists of: ranges whose hashes it lists, in order. Empty when
/// there is no such entry.
///
/// Source: RFC 9162, 2.1.3.1.
pub fn inclusion(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut proof = Vec::new();
    let mut range = 0..size;
    while index < size && range.end - range.start > 1 {
        let middle = range.start + split(range.end - range.start);
        if index < middle {
            proof.push(middle..range.end);
            range.end = middle;
        } else {
            proof.push(range.start..middle);
            range.start = middle;
        }
    }
    proof.reverse();
    proof
}

/// What a consistency proof between trees of `from` and `to` entries consists of, as for [`inclusion`]. Empty when there is
/// nothing to prove or `from > to`.
///
/// Source: RFC 9162, 2.1.4.1.
pub fn consistency(from: u64, to: u64) -> Vec<Range<u64>> {
    let mut proof = Vec::new();
    if from == 0 || from >= to {
        return proof;
    }
    let mut range = 0..to;
    while range.end != from {
        let middle = range.start + split(range.end - range.start);
        if from <= middle {
            proof.push(middle..range.end);
            range.end = middle;
        } else {
            proof.push(range.start..middle);
            range.start = middle;
        }
    }
    if range.start > 0 {
        proof.push(range);
    }
    proof.reverse();
    proof
}

/// Whether `proof` shows that `leaf` is entry `index` of the tree of `size` entries with this root.
///
/// Source: RFC 9162, 2.1.3.2.
pub fn is_included(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut fn_, mut sn, mut hash) = (index, size - 1, *leaf);
    for step in proof {
        if sn == 0 {
            return false;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            hash = inner(step, &hash);
            while fn_ & 1 == 0 && fn_ != 0 {
                fn_ >>= 1;
                sn >>= 1;
            }
        } else {
            hash = inner(&hash, step);
        }
        fn_ >>= 1;
        sn >>= 1;
    }
    sn == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `to` entries begins with the tree of `from` entries.
///
/// Source: RFC 9162, 2.1.4.2.
pub fn is_consistent(from: u64, to: u64, proof: &[Hash], from_root: &Hash, to_root: &Hash) -> bool {
    if from == to {
        return proof.is_empty() && from_root == to_root;
    }
    if from == 0 {
        return proof.is_empty() && *from_root == empty_root();
    }
    if from > to {
        return false;
    }
    // A tree whose size is a power of two is a node of the later tree itself, and the proof does not repeat its hash.
    let (first, rest) = match proof.split_first() {
        _ if from.is_power_of_two() => (from_root, proof),
        Some(parts) => parts,
        None => return false,
    };
    let (mut fn_, mut sn) = (from - 1, to - 1);
    let at_right = fn_.trailing_ones();
    fn_ >>= at_right;
    sn >>= at_right;
    let (mut of_from, mut of_to) = (*first, *first);
    for step in rest {
        if sn == 0 {
            return false;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            of_from = inner(step, &of_from);
            of_to = inner(step, &of_to);
            while fn_ & 1 == 0 && fn_ != 0 {
                fn_ >>= 1;
                sn >>= 1;
            }
        } else {
            of_to = inner(&of_to, step);
        }
        fn_ >>= 1;
        sn >>= 1;
    }
    sn == 0 && of_from == *from_root && of_to == *to_root
}

#[cfg(test)]
mod tests;
