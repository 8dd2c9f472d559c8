//! What has been released stays as it was: `released.txt` knows each step's file by its digest.

use std::fmt::Write as _;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use migrations::{Kind, Step};

/// Why this list of steps is not what `released` says, if it is not; the text says what to do.
fn refusal(released: &str, steps: &[Step], file: impl Fn(&str) -> Option<Vec<u8>>) -> Option<String> {
    let lines = released.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut releases = Vec::new();
    for (at, line) in lines.enumerate() {
        let [release, name, sum] = line[..] else { return Some(format!("`{}` is no release, step and digest", line.join(" "))) };
        let Some(step) = steps.get(at) else { return Some(format!("{name} was released with {release} and is gone")) };
        if step.name() != name {
            return Some(format!(
                "{name} was released with {release} as step {}, where {} is now: new steps come at the end",
                at + 1,
                step.name()
            ));
        }
        let Some(text) = file(name) else { return Some(format!("{name} was released with {release}; its file is gone")) };
        if hex(digest(&SHA256, &text).as_ref()) != sum {
            return Some(format!("{name} was released with {release} and has changed since: make a new step instead"));
        }
        releases.push(release);
    }
    for (at, step) in steps.iter().enumerate() {
        let is_of_first = releases.get(at).is_some_and(|release| *release == releases[0]);
        if (step.kind == Kind::Baseline) != is_of_first {
            let sum = file(step.name()).map(|text| hex(digest(&SHA256, &text).as_ref())).unwrap_or_default();
            return Some(format!(
                "{} is {:?}: the baseline is what the first release had, everything later expands or contracts (its line would be `RELEASE {} {sum}`)",
                step.name(),
                step.kind,
                step.name()
            ));
        }
    }
    None
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn file(name: &str) -> Option<Vec<u8>> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(format!("{name}.rs"))).ok()
}

const RELEASED: &str = include_str!("../released.txt");

#[test]
fn released_steps_are_as_they_were() {
    assert_eq!(refusal(RELEASED, &migrations::steps(), file), None);
}

#[test]
fn a_released_step_that_changed_moved_or_went_is_refused() {
    let edited = |name: &str| file(name).map(|text| if name.ends_with("batches") { [text.as_slice(), b"\n"].concat() } else { text });
    let why = refusal(RELEASED, &migrations::steps(), edited).expect("refused");
    assert!(why.contains("batches") && why.contains("has changed since"), "{why}");

    let mut moved = migrations::steps();
    moved.swap(1, 2);
    let why = refusal(RELEASED, &moved, file).expect("refused");
    assert!(why.contains("as step 2"), "{why}");

    let mut fewer = migrations::steps();
    let last = fewer.pop().expect("some");
    let why = refusal(RELEASED, &fewer, file).expect("refused");
    assert!(why.contains(last.name()) && why.contains("is gone"), "{why}");

    let without_last = RELEASED.trim_end().rsplit_once('\n').expect("lines").0;
    let why = refusal(without_last, &migrations::steps(), file).expect("refused");
    assert!(why.contains(last.name()) && why.contains("the baseline is what the first release had"), "{why}");
}
