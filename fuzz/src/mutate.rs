//! Changes inputs, by numbers that come back with their seed.

/// SplitMix64: the same numbers for the same seed, everywhere.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of their own for each target, so that a new one changes nothing for the others.
    pub fn new(seed: u64, name: &str) -> Self {
        Self(name.bytes().fold(seed, |seed, byte| seed.rotate_left(7) ^ u64::from(byte)))
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 when that is 0.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % (n.max(1) as u64)).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.below(from.len());
        from.get(at)
    }
}

/// The longest input: beyond the bounds of most parsers, and quick all the same.
const LONGEST: usize = 4_096;

/// Bytes that parsers split at, take for the end, or mend.
const TELLING: &[u8] = b"\0\t\n\r \"#%&'()*+,-./0123456789:;<=>?@AZ[\\]^_`az{|}~\x7f\x80\xc3\xa9\xff";

/// Pieces of text that mean something to many parsers.
const EVERYWHERE: &[&str] = &[
    "%00",
    "%2e",
    "%2f",
    "%5F",
    "%ff",
    "\u{fffd}",
    "\u{202e}",
    "\u{feff}",
    "é",
    "ﬀ",
    "İ",
    "..",
    "//",
    "\\",
    "@",
    "null",
    "true",
    "-1",
    "0",
    "00",
    "1e308",
    "18446744073709551616",
    "9223372036854775807",
    "{}",
    "[]",
    "\"\"",
    "\"a\":",
    ",",
    "\r\n",
];

/// One of the corpus, changed in one to six places.
pub fn mutated(dice: &mut Dice, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut input = dice.pick(corpus).cloned().unwrap_or_default();
    // Small changes most of the time: what is all wrong is refused at the door.
    let changes = 1 + dice.below(6).min(dice.below(6));
    for _ in 0..changes {
        change(dice, &mut input, corpus, words);
    }
    input.truncate(LONGEST);
    input
}

fn change(dice: &mut Dice, input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str]) {
    let at = dice.below(input.len() + 1);
    let end = (at + dice.below(1 + input.len().min(16))).min(input.len());
    match dice.below(12) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        1 => {
            if let (Some(byte), Some(telling)) = (input.get_mut(at), dice.pick(TELLING)) {
                *byte = *telling;
            }
        }
        2 => input.extend(dice.pick(TELLING)),
        3 => {
            if let Some(telling) = dice.pick(TELLING) {
                input.insert(at, *telling);
            }
        }
        4 => drop(input.drain(at..end)),
        5 => input.truncate(at),
        6 => {
            let piece = input[at..end].to_vec();
            let to = dice.below(input.len() + 1);
            drop(input.splice(to..to, piece));
        }
        7 => {
            let word = dice.pick(EVERYWHERE).copied().unwrap_or_default();
            drop(input.splice(at..end, word.bytes()));
        }
        8 | 9 => {
            let word = dice.pick(words).copied().unwrap_or_default();
            let end = if dice.below(2) == 0 { at } else { end };
            drop(input.splice(at..end, word.bytes()));
        }
        // The beginning of this one, the end of another.
        10 => {
            let other = dice.pick(corpus).cloned().unwrap_or_default();
            input.truncate(at);
            input.extend(&other[dice.below(other.len() + 1)..]);
        }
        // Much of the same.
        _ => {
            let piece = input[at..end].repeat(1 + dice.below(64));
            drop(input.splice(at..at, piece));
        }
    }
}
