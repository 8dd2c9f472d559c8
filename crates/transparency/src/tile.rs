//! The files a log is served as: tiles of hashes, and bundles of entries, 256 to each.
//!
//! Source: C2SP tlog-tiles.
//!
//! Invariant: a tile has exactly one address; whatever is written otherwise is none.

use std::fmt;
use std::str::FromStr;

/// How many hashes or entries a full tile has.
pub const WIDTH: u64 = 256;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Hashes, each over `256^level` entries.
    Hashes { level: u8 },
    /// The entries themselves.
    Entries,
}

/// One file of a log: the `index`-th of its kind, with the first `width` (1 to 256) of what it will hold when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    pub holds: Holds,
    pub index: u64,
    pub width: u64,
}

impl Tile {
    /// The bundles that hold all entries of a log of this size, in order.
    pub fn bundles(size: u64) -> impl Iterator<Item = Self> {
        let width = move |index: u64| (size - index * WIDTH).min(WIDTH);
        (0..size.div_ceil(WIDTH)).map(move |index| Self { holds: Holds::Entries, index, width: width(index) })
    }

    pub const fn is_full(&self) -> bool {
        self.width == WIDTH
    }

    /// The number, in its level, of the first hash or entry.
    pub const fn first(&self) -> u64 {
        self.index * WIDTH
    }

    /// Whether a log of this size has it.
    pub fn is_in(&self, size: u64) -> bool {
        let below = match self.holds {
            Holds::Entries => size,
            Holds::Hashes { level } => size.checked_shr(u32::from(level) * 8).unwrap_or(0),
        };
        self.first() + self.width <= below
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.holds {
            Holds::Hashes { level } => write!(f, "{level}/")?,
            Holds::Entries => f.write_str("entries/")?,
        }
        let digits = self.index.to_string();
        let digits = format!("{digits:0>width$}", width = digits.len().next_multiple_of(3));
        for group in 0..digits.len() / 3 - 1 {
            write!(f, "x{}/", &digits[group * 3..group * 3 + 3])?;
        }
        f.write_str(&digits[digits.len() - 3..])?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// The text is not the address of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a tile, such as 0/x001/234.p/5 or entries/000")]
pub struct NotATile;

impl FromStr for Tile {
    type Err = NotATile;

    fn from_str(text: &str) -> Result<Self, NotATile> {
        let (holds, rest) = text.split_once('/').ok_or(NotATile)?;
        let holds = match holds {
            "entries" => Holds::Entries,
            level => Holds::Hashes { level: level.parse().ok().filter(|level| *level < 64).ok_or(NotATile)? },
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().map_err(|_| NotATile)?),
            None => (rest, WIDTH),
        };
        let digits: String = index.split('/').map(|group| group.strip_prefix('x').unwrap_or(group)).collect();
        // No entry has a number beyond 2^63, so that sums of such numbers are numbers.
        let index = digits.parse().ok().filter(|index| *index < u64::MAX >> 9).ok_or(NotATile)?;
        let tile = Self { holds, index, width };
        // Whatever was written in another way than ours: a sign, a zero too many, an `x` in the wrong place.
        if tile.width >= 1 && tile.width <= WIDTH && tile.to_string() == text { Ok(tile) } else { Err(NotATile) }
    }
}

/// Writes entries as a bundle; `None` when one of them is longer than 65,535 bytes.
pub fn bundle<'a>(entries: impl IntoIterator<Item = &'a Vec<u8>>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend(u16::try_from(entry.len()).ok()?.to_be_bytes());
        bytes.extend(entry);
    }
    Some(bytes)
}

/// Reads the entries of a bundle; `None` when it ends in the middle of one.
pub fn unbundle(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bytes = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_has_one_address() {
        for text in ["0/000", "0/000.p/1", "1/999", "63/x001/x234/067", "entries/x001/000.p/255", "entries/007"] {
            let tile: Tile = text.parse().unwrap();
            assert_eq!(tile.to_string(), text);
        }
        let known = Tile { holds: Holds::Hashes { level: 2 }, index: 1_234_067, width: 8 };
        assert_eq!(known.to_string(), "2/x001/x234/067.p/8", "the example of the specification");
        for text in [
            "",
            "0",
            "0/",
            "0/0",
            "0/00",
            "0/0000",
            "00/000",
            "+1/000",
            "64/000",
            "0/x000/001",
            "0/001/002",
            "0/x001",
            "0/001.p/0",
            "0/001.p/256",
            "0/001.p/01",
            "0/001.p/",
            "0/001.p",
            "0/+01",
            "entries/xx01/000",
            "entries",
            "x/000",
            "0/x99/001",
            "0/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(text.parse::<Tile>(), Err(NotATile), "{text}");
        }
    }

    #[test]
    fn a_log_has_the_tiles_that_the_specification_counts() {
        // "a tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile of width 112, one full
        // level 1 tile, one partial level 1 tile of width 17, and one partial level 2 tile of width 1"
        let is_in = |text: &str| text.parse::<Tile>().unwrap().is_in(70_000);
        for text in ["0/000", "0/272", "0/273.p/112", "1/000", "1/001.p/17", "2/000.p/1", "entries/273.p/112", "0/273.p/111"] {
            assert!(is_in(text), "{text}");
        }
        for text in ["0/273", "0/273.p/113", "1/001", "1/001.p/18", "2/000.p/2", "3/000.p/1", "9/000.p/1", "63/000", "entries/274.p/1"] {
            assert!(!is_in(text), "{text}");
        }
        assert_eq!(Tile::bundles(70_000).count(), 274);
        assert_eq!(Tile::bundles(70_000).last().unwrap().to_string(), "entries/273.p/112");
        assert_eq!(Tile::bundles(256).last().unwrap().to_string(), "entries/000");
        assert_eq!(Tile::bundles(0).count(), 0);
    }

    #[test]
    fn entries_survive_their_bundle() {
        let entries = vec![b"one".to_vec(), Vec::new(), vec![7; 65_535]];
        let bytes = bundle(&entries).unwrap();
        assert_eq!(&bytes[..5], b"\x00\x03one");
        assert_eq!(unbundle(&bytes).unwrap(), entries);
        assert_eq!(unbundle(&bytes[..bytes.len() - 1]), None);
        assert_eq!(unbundle(&[0]), None);
        assert_eq!(bundle(&[vec![0; 65_536]]), None);
    }
}
