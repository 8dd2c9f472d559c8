//! The tree against the published vectors, against the definition in the RFC, and against every small change.

use proptest::prelude::*;

use super::*;

/// The Merkle tree hash as RFC 9162, 2.1.1 defines it, by nothing but recursion.
fn defined(entries: &[Vec<u8>]) -> Hash {
    match entries {
        [] => empty_root(),
        [one] => leaf_hash(one),
        _ => {
            let (left, right) = entries.split_at(1 << (entries.len() - 1).ilog2());
            hash_of(&[&[1], &defined(left), &defined(right)])
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A log that keeps what a store would.
#[derive(Default)]
struct Log {
    frontier: Frontier,
    stored: std::collections::BTreeMap<Node, Hash>,
}

impl Log {
    fn of(entries: &[Vec<u8>]) -> Self {
        let mut log = Self::default();
        for entry in entries {
            for (node, hash) in log.frontier.push(leaf_hash(entry)) {
                assert!(log.stored.insert(node, hash).is_none(), "{node:?} is stored once");
            }
        }
        log
    }

    fn range(&self, range: &Range<u64>) -> Hash {
        let node = |node: Node| {
            let (level, indexes) = node.stored();
            full_subtree(&indexes.map(|index| self.stored[&Node { level, index }]).collect::<Vec<_>>()).unwrap()
        };
        join(&nodes_of(range).into_iter().map(node).collect::<Vec<_>>()).unwrap()
    }

    fn proof(&self, ranges: &[Range<u64>]) -> Vec<Hash> {
        ranges.iter().map(|range| self.range(range)).collect()
    }
}

fn numbered(size: usize) -> Vec<Vec<u8>> {
    (0..size).map(|n| n.to_be_bytes().to_vec()).collect()
}

/// The entries and roots that Certificate Transparency's implementations share (RFC 6962's reference code).
#[test]
fn the_roots_are_those_of_the_reference_implementation() {
    let entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"].map(hex);
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (size, root) in roots.iter().enumerate() {
        assert_eq!(Log::of(&entries[..size]).frontier.root().to_vec(), hex(root), "size {size}");
    }
}

/// RFC 9162, 2.1.5: the proofs of the tree with seven entries, drawn there, by the ranges that its letters stand for.
#[test]
fn the_proofs_are_those_of_the_example_in_the_rfc() {
    // PATH(0) = [b, h, l]; PATH(3) = [c, g, l]; PATH(4) = [f, j, k]; PATH(6) = [i, k].
    assert_eq!(inclusion(0, 7), [1..2, 2..4, 4..7]);
    assert_eq!(inclusion(3, 7), [2..3, 0..2, 4..7]);
    assert_eq!(inclusion(4, 7), [5..6, 6..7, 0..4]);
    assert_eq!(inclusion(6, 7), [4..6, 0..4]);
    // PROOF(3) = [c, d, g, l]; PROOF(4) = [l]; PROOF(6) = [i, j, k].
    assert_eq!(consistency(3, 7), [2..3, 3..4, 0..2, 4..7]);
    assert_eq!(consistency(4, 7), std::slice::from_ref(&(4..7)));
    assert_eq!(consistency(6, 7), [4..6, 6..7, 0..4]);
}

#[test]
fn every_small_tree_has_its_defined_root_and_all_its_proofs() {
    let entries = numbered(40);
    let roots: Vec<_> = (0..=40).map(|size| defined(&entries[..size])).collect();
    let log = Log::of(&entries);
    for size in 0..=40_u64 {
        let root = roots[size as usize];
        assert_eq!(Log::of(&entries[..size as usize]).frontier.root(), root, "size {size}");
        for index in 0..size {
            let (leaf, proof) = (leaf_hash(&entries[index as usize]), log.proof(&inclusion(index, size)));
            assert!(is_included(&leaf, index, size, &proof, &root), "{index} of {size}");
            for other in (0..=size).filter(|other| *other != index) {
                assert!(!is_included(&leaf, other, size, &proof, &root), "{index} is not {other} of {size}");
            }
        }
        for from in 0..=size {
            let proof = log.proof(&consistency(from, size));
            assert!(is_consistent(from, size, &proof, &roots[from as usize], &root), "{from} to {size}");
            for other in (0..=size).filter(|other| *other != from) {
                assert!(!is_consistent(from, size, &proof, &roots[other as usize], &root), "{other} is not {from} of {size}");
            }
        }
        assert!(!is_included(&leaf_hash(b""), size, size, &[], &root), "no entry there");
    }
}

#[test]
fn a_frontier_survives_being_stored_and_one_that_does_not_fit_is_none() {
    let mut frontier = Log::of(&numbered(1_000)).frontier;
    let bytes = frontier.to_bytes();
    let mut again = Frontier::from_bytes(1_000, &bytes).unwrap();
    again.push([7; 32]);
    frontier.push([7; 32]);
    assert_eq!(again, frontier);
    assert_eq!(Frontier::from_bytes(999, &bytes), None);
    assert_eq!(Frontier::from_bytes(1_000, &bytes[1..]), None);
    assert_eq!(Frontier::from_bytes(0, &[]), Some(Frontier::default()));
}

#[test]
fn appending_stores_one_hash_for_the_entry_and_one_for_each_full_tile() {
    let log = Log::of(&numbered(70_000));
    let at = |level| log.stored.keys().filter(|node| node.level == level).count();
    assert_eq!((at(0), at(8), at(16), log.stored.len()), (70_000, 273, 1, 70_274));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_proof_verifies_and_no_changed_one_does(
        size in 2_u64..3_000, at in 0.0_f64..1.0, step in any::<prop::sample::Index>(), byte in 0_usize..32, bit in 0_u8..8,
    ) {
        let entries = numbered(size as usize);
        let log = Log::of(&entries);
        let root = log.frontier.root();
        let index = ((size as f64) * at) as u64;
        let leaf = leaf_hash(&entries[index as usize]);
        let proof = log.proof(&inclusion(index, size));
        prop_assert!(is_included(&leaf, index, size, &proof, &root));
        let change = |hashes: &[Hash]| {
            let mut hashes = hashes.to_vec();
            let at = step.index(hashes.len());
            hashes[at][byte] ^= 1 << bit;
            hashes
        };
        prop_assert!(!is_included(&leaf, index, size, &change(&proof), &root));
        prop_assert!(!is_included(&change(&[leaf])[0], index, size, &proof, &root));
        prop_assert!(!is_included(&leaf, index, size, &proof, &change(&[root])[0]));
        prop_assert!(!is_included(&leaf, index, size, &proof[1..], &root));
        prop_assert!(!is_included(&leaf, index, size, &[&proof[..], &[root]].concat(), &root));

        let from = index.max(1);
        let before = Log::of(&entries[..from as usize]).frontier.root();
        let proof = log.proof(&consistency(from, size));
        prop_assert!(is_consistent(from, size, &proof, &before, &root));
        prop_assert!(!is_consistent(from, size, &change(&proof), &before, &root));
        prop_assert!(!is_consistent(from, size, &proof, &change(&[before])[0], &root));
        prop_assert!(!is_consistent(from, size, &proof, &before, &change(&[root])[0]));
        prop_assert!(!is_consistent(from, size, &[&proof[..], &[root]].concat(), &before, &root));
        prop_assert!(!is_consistent(size, from, &proof, &root, &before));
    }

    #[test]
    fn any_changed_entry_changes_the_root(size in 1_usize..600, entry in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut entries = numbered(size);
        let root = Log::of(&entries).frontier.root();
        let at = entry.index(size);
        entries[at][7] ^= 1 << bit;
        prop_assert_ne!(Log::of(&entries).frontier.root(), root);
    }
}
