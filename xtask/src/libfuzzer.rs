//! What libFuzzer says, as pure functions: how far it is, and which of its inputs are worth keeping.
//!
//! Enter at [`progress`] for a line of its log, at [`inputs`] for the control file of a merge, and at [`worth_keeping`].
//!
//! Invariant: nothing here reads a file or runs a program; [`crate::fuzz`] does.

use std::collections::BTreeSet;

/// What one line of the log says of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) executions: u64,
    /// In a second, on the average since the beginning.
    pub(crate) rate: u64,
    /// Edges of the program that some input has reached.
    pub(crate) edges: u64,
}

/// Reads lines such as `#4096 pulse  cov: 812 ft: 1300 corp: 40/2100b lim: 43 exec/s: 2048 rss: 60Mb`.
pub(crate) fn progress(line: &str) -> Option<Progress> {
    let (number, rest) = line.strip_prefix('#')?.split_once(char::is_whitespace)?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let after = |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)?.parse().ok());
    Some(Progress { executions: number.parse().ok()?, rate: after("exec/s:")?, edges: after("cov:").unwrap_or(0) })
}

/// An input, and the edges that it reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) edges: BTreeSet<u32>,
}

/// Reads the control file that a merge leaves behind: two counts, a path a line, then for each input `STARTED number bytes` and
/// `FT number edge edge …`. One that has no `FT` has ended the program, and is left out.
///
/// # Errors
/// What is not as expected.
pub(crate) fn inputs(control: &str) -> Result<Vec<Input>, String> {
    let bad = |what: &str| format!("a control file of libFuzzer with {what}");
    let mut lines = control.lines();
    let count: usize = lines.next().and_then(|line| line.trim().parse().ok()).ok_or_else(|| bad("no count"))?;
    lines.next().ok_or_else(|| bad("one line"))?;
    let paths: Vec<&str> = lines.by_ref().take(count).collect();
    if paths.len() < count {
        return Err(bad("too few paths"));
    }
    let mut inputs = Vec::new();
    let mut started = None;
    for line in lines {
        let (marker, numbers) = line.split_once(' ').ok_or_else(|| bad("a line of one word"))?;
        let mut numbers = numbers.split_whitespace();
        let at: usize = numbers.next().and_then(|at| at.parse().ok()).ok_or_else(|| bad("no number of an input"))?;
        match marker {
            "STARTED" => {
                let bytes: u64 = numbers.next().and_then(|bytes| bytes.parse().ok()).ok_or_else(|| bad("no size"))?;
                started = Some((at, bytes));
            }
            "FT" => {
                let (_, bytes) = started.filter(|(begun, _)| *begun == at).ok_or_else(|| bad("an input that never began"))?;
                let path = (*paths.get(at).ok_or_else(|| bad("an input without a path"))?).to_owned();
                let edges = numbers.map(str::parse).collect::<Result<_, _>>().map_err(|_| bad("an edge that is no number"))?;
                inputs.push(Input { path, bytes, edges });
            }
            _ => {}
        }
    }
    Ok(inputs)
}

/// The few of `found` that reach what `kept` do not, at most `most` of them, none larger than `largest` bytes: always the one next that adds
/// most, the smaller one of two that add as much.
pub(crate) fn worth_keeping<'a>(kept: &[Input], found: &'a [Input], most: usize, largest: u64) -> Vec<&'a Input> {
    let mut reached: BTreeSet<u32> = kept.iter().flat_map(|input| &input.edges).copied().collect();
    let mut left: Vec<&Input> = found.iter().filter(|input| input.bytes <= largest).collect();
    let mut chosen = Vec::new();
    while chosen.len() < most {
        let adds = |input: &Input| input.edges.difference(&reached).count();
        left.retain(|input| adds(input) > 0);
        let Some(best) = left.iter().copied().max_by_key(|input| (adds(input), std::cmp::Reverse((input.bytes, &input.path)))) else {
            break;
        };
        reached.extend(&best.edges);
        chosen.push(best);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_says_how_far_it_is() {
        let usual = "#4096\tpulse  cov: 812 ft: 1300 corp: 40/2100b lim: 43 exec/s: 2048 rss: 60Mb";
        assert_eq!(progress(usual), Some(Progress { executions: 4_096, rate: 2_048, edges: 812 }));
        let new = "#77\tNEW    cov: 9 ft: 10 corp: 3/5b lim: 4 exec/s: 0 rss: 40Mb L: 2/2 MS: 1 InsertByte-";
        assert_eq!(progress(new), Some(Progress { executions: 77, rate: 0, edges: 9 }));
        // Nothing is instrumented.
        assert_eq!(progress("#2\tINITED exec/s: 0 rss: 30Mb"), Some(Progress { executions: 2, rate: 0, edges: 0 }));
        for other in ["", "#", "#x pulse exec/s: 1", "INFO: Seed: 1", "==1== ERROR: libFuzzer: deadly signal", "    #1 0x55 in main"] {
            assert_eq!(progress(other), None, "{other}");
        }
    }

    fn input(path: &str, bytes: u64, edges: &[u32]) -> Input {
        Input { path: path.to_owned(), bytes, edges: edges.iter().copied().collect() }
    }

    #[test]
    fn a_control_file_says_what_each_input_reaches() {
        let control = "3\n0\n/a/1\n/b 2/x\n/c\nSTARTED 0 5\nFT 0 1 4\nCOV 0 7\nSTARTED 1 9\nSTARTED 2 0\nFT 2\nCOV 2\n";
        assert_eq!(inputs(control), Ok(vec![input("/a/1", 5, &[1, 4]), input("/c", 0, &[])]));
        for bad in [
            "",
            "x\n0\n",
            "2\n0\n/a\n",
            "1\n0\n/a\nFT 0 1\n",
            "1\n0\n/a\nSTARTED 1 5\nFT 1 1\n",
            "1\n0\n/a\nSTARTED 0 5\nFT 0 x\n",
            "1\n0\n/a\nDONE\n",
        ] {
            assert!(inputs(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_kept_adds_most_for_least() {
        let kept = [input("old", 1, &[1, 2])];
        let found = [
            input("nothing new", 1, &[1, 2]),
            input("three", 30, &[1, 3, 4, 5]),
            input("smaller three", 20, &[3, 4, 5]),
            input("one more", 9, &[5, 6]),
            input("large", 5_000, &[7, 8, 9, 10]),
        ];
        let paths = |most| worth_keeping(&kept, &found, most, 4_096).iter().map(|input| input.path.as_str()).collect::<Vec<_>>();
        assert_eq!(paths(9), ["smaller three", "one more"]);
        assert_eq!(paths(1), ["smaller three"]);
        assert!(paths(0).is_empty());
    }
}
