//! `cargo xtask fuzz`: lets libFuzzer look for inputs that reach new code, target by target, with the stable compiler.
//!
//! Enter at [`run`]. The parsers are built once, with counters at every edge (LLVM's own pass, which a stable compiler takes); then each
//! target has its time. What was found is kept outside the repository; `--adopt` puts the few inputs that add most into `fuzz/corpus`, where
//! every run of the tests plays them.
//!
//! Invariant: time, memory and the size of an input are bounded, and an input that ends the program fails the command.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use cargo_metadata::MetadataCommand;

use crate::cargo;
use crate::libfuzzer::{self, Progress, inputs, worth_keeping};

const USUAL_SECONDS: u64 = 60;
/// The longest input, in bytes: as in `fuzz/src/mutate.rs`, beyond the bounds of most parsers.
const LONGEST: u64 = 4_096;
/// An input that takes longer is as bad as one that ends the program.
const PATIENCE_SECONDS: u64 = 20;
const MEMORY_MIB: u64 = 1_024;
/// Files in one folder of `fuzz/corpus`: each run of the tests plays them all.
const MOST_FILES: usize = 30;
/// How often a line of progress is printed.
const TICK: Duration = Duration::from_secs(15);
/// Counters at every edge, a table of them, and what is compared with what.
const COUNTED: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];

/// Where everything is.
struct Places {
    /// `fuzz/corpus`.
    corpus: PathBuf,
    /// What was found, a folder for each target.
    into: PathBuf,
    program: PathBuf,
}

/// How the time of one target went.
#[derive(Debug, Default)]
struct Outcome {
    /// At the end; the edges are those of all inputs together.
    progress: Progress,
    /// Edges that the corpus reaches without anything new.
    edges_before: u64,
    /// The few inputs that reach everything that is new.
    new: usize,
    /// The input that ended the program, if one did.
    crash: Option<PathBuf>,
}

/// Fuzzes the targets that `args` name (all of them), each for `--seconds N`, and keeps what was found below `--into FOLDER`.
pub(crate) fn run(args: &[String]) -> ExitCode {
    match fuzz(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fuzz(args: &[String]) -> Result<ExitCode, String> {
    let metadata = MetadataCommand::new().no_deps().exec().map_err(|error| format!("cargo metadata: {error}"))?;
    let corpus = metadata.workspace_root.join("fuzz/corpus").into_std_path_buf();
    let all = folders(&corpus)?;
    let (mut seconds, mut into, mut is_adopted, mut targets) = (USUAL_SECONDS, usual_folder(), false, Vec::new());
    let mut args = args.iter();
    while let Some(word) = args.next() {
        match word.as_str() {
            "--adopt" => is_adopted = true,
            "--into" => into = args.next().map(PathBuf::from).ok_or("--into takes a folder")?,
            "--seconds" => {
                seconds = args
                    .next()
                    .and_then(|number| number.parse().ok())
                    .filter(|number| *number > 0)
                    .ok_or("--seconds takes a number from 1")?;
            }
            target if all.iter().any(|known| known == target) => targets.push(target.to_owned()),
            other => return Err(format!("`{other}` is no target; there are {}", all.join(", "))),
        }
    }
    if targets.is_empty() {
        targets = all;
    }
    let program = build(metadata.target_directory.as_std_path())?;
    let places = Places { corpus, into, program };
    println!("==> {} targets, {seconds} s each; what is found goes to {}", targets.len(), places.into.display());
    let mut outcomes = Vec::new();
    for target in targets {
        let outcome = places.play(&target, seconds, is_adopted)?;
        outcomes.push((target, outcome));
    }
    report(&outcomes);
    let crashes = outcomes.iter().filter(|(_, outcome)| outcome.crash.is_some()).count();
    if crashes > 0 {
        println!("==> {crashes} of {} targets have an input that must not be", outcomes.len());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Outside the repository: what was found is of use to the next run, and belongs to nobody else.
fn usual_folder() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache"))).unwrap_or_else(std::env::temp_dir);
    cache.join("claviger-fuzz")
}

/// The names of the folders in here, in their order: `fuzz/tests/corpus.rs` sees to it that they are those of the targets.
fn folders(corpus: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    let mut names: Vec<_> =
        entries.flatten().filter(|entry| entry.path().is_dir()).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Builds the targets with counters, apart from everything else that is built.
fn build(target_directory: &Path) -> Result<PathBuf, String> {
    let version = cargo().arg("-vV").output().map_err(|error| format!("cargo did not start: {error}"))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("`cargo -vV` does not name the host")?;
    println!("==> cargo build --profile fuzz -p fuzz --features libfuzzer, with counters at every edge");
    // A target that is named keeps the counters out of build scripts and macros, which run in the compiler.
    let mut command = cargo();
    command.args([
        "build",
        "--locked",
        "--profile",
        "fuzz",
        "--target",
        host,
        "-p",
        "fuzz",
        "--features",
        "libfuzzer",
        "--bin",
        "libfuzzer",
    ]);
    command.env("CARGO_ENCODED_RUSTFLAGS", COUNTED.join("\u{1f}"));
    match command.status() {
        Ok(status) if status.success() => Ok(target_directory.join(host).join("fuzz/libfuzzer")),
        Ok(_) => {
            Err("the targets were not built. libFuzzer is C++: it needs a C++ compiler (Debian and Ubuntu: apt-get install g++)".to_owned())
        }
        Err(error) => Err(format!("cargo did not start: {error}")),
    }
}

impl Places {
    fn corpus_of(&self, target: &str) -> PathBuf {
        self.corpus.join(target)
    }

    /// The program for this target, with the options that every run of it has.
    fn command(&self, target: &str) -> Command {
        let mut command = Command::new(&self.program);
        let dictionary = self.into.join(target).join("dictionary");
        command.env("CLAVIGER_FUZZ_TARGET", target).env("CLAVIGER_FUZZ_DICTIONARY", &dictionary);
        command.arg(format!("-dict={}", dictionary.display()));
        command.arg(format!("-max_len={LONGEST}")).arg(format!("-timeout={PATIENCE_SECONDS}")).arg(format!("-rss_limit_mb={MEMORY_MIB}"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn play(&self, target: &str, seconds: u64, is_adopted: bool) -> Result<Outcome, String> {
        let (found, crashes) = (self.into.join(target).join("corpus"), self.into.join(target).join("crashes"));
        for folder in [&found, &crashes] {
            std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        println!("==> {target}");
        let mut command = self.command(target);
        command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
        command.arg(format!("-artifact_prefix={}/", crashes.display())).arg(&found).arg(self.corpus_of(target));
        let (mut outcome, log, is_well) = watched(&mut command)?;
        if !is_well {
            let crash = said_path(&log).ok_or_else(|| format!("{target} ended badly and left no input:\n{}", log.join("\n")))?;
            println!("{}", log.join("\n"));
            outcome.crash = Some(self.explain(target, &crash));
        }
        // Without counters, nothing but chance would have been at work.
        if is_well && outcome.progress.edges == 0 {
            return Err(format!("{target}: no edge was counted, so nothing was looked for: the compiler did not take {COUNTED:?}"));
        }
        outcome.new = self.keep_few(target, &found, is_adopted)?;
        println!(
            "    {} executions, {}/s, {} edges ({} before), {} new inputs that reach them",
            outcome.progress.executions, outcome.progress.rate, outcome.progress.edges, outcome.edges_before, outcome.new
        );
        Ok(outcome)
    }

    /// Makes an input smaller that ended the program, and says what to do with it. Answers the smallest that does.
    fn explain(&self, target: &str, crash: &Path) -> PathBuf {
        let small = crash.with_extension("small");
        let mut command = self.command(target);
        command.args(["-minimize_crash=1", "-max_total_time=20"]).arg(format!("-exact_artifact_path={}", small.display())).arg(crash);
        // It ends badly by its nature; what counts is whether there is something smaller.
        let _ended = command.stderr(Stdio::null()).status();
        let shown = if small.is_file() { small } else { crash.to_owned() };
        println!("    This input must not be:\n      {}", shown.display());
        println!("    To play it with every run of the tests, give it a name that says what it is, and mend what it shows:");
        println!("      cp {} {}/NAME\n      cargo test -p fuzz", shown.display(), self.corpus_of(target).display());
        shown
    }

    /// Looks for the few inputs that reach all that is new, and puts them into a folder of their own; with `is_adopted` into the repository.
    fn keep_few(&self, target: &str, found: &Path, is_adopted: bool) -> Result<usize, String> {
        let ours = self.corpus_of(target);
        let (control, few) = (self.into.join(target).join("merge"), self.into.join(target).join("few"));
        for old in [&few, &self.into.join(target).join("nothing")] {
            emptied(old)?;
        }
        drop(std::fs::remove_file(&control));
        let mut command = self.command(target);
        // Edges alone: how often each is passed would keep ten times as many.
        command.args(["-merge=1", "-set_cover_merge=1", "-use_counters=0"]).arg(format!("-merge_control_file={}", control.display()));
        command.arg(self.into.join(target).join("nothing")).arg(&ours).arg(found).stderr(Stdio::null());
        command.status().map_err(|error| format!("{}: {error}", self.program.display()))?;
        let text = std::fs::read_to_string(&control).map_err(|error| format!("{}: {error}", control.display()))?;
        let (kept, new): (Vec<_>, Vec<_>) = inputs(&text)?.into_iter().partition(|input| Path::new(&input.path).starts_with(&ours));
        let room = MOST_FILES.saturating_sub(kept.len());
        let chosen = worth_keeping(&kept, &new, room, LONGEST);
        for input in &chosen {
            let name = Path::new(&input.path).file_name().unwrap_or_default().to_string_lossy();
            let name = format!("found-{}", name.chars().take(12).collect::<String>());
            for folder in [Some(&few), is_adopted.then_some(&ours)].into_iter().flatten() {
                std::fs::copy(&input.path, folder.join(&name)).map_err(|error| format!("{}: {error}", folder.display()))?;
            }
        }
        Ok(chosen.len())
    }
}

fn emptied(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Runs to the end and shows how far it is. Answers that, the last lines of the log, and whether all was well.
fn watched(command: &mut Command) -> Result<(Outcome, Vec<String>, bool), String> {
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let log = child.stderr.take().ok_or("no log")?;
    let (begun, mut shown) = (Instant::now(), Instant::now());
    let mut outcome = Outcome::default();
    let mut last = VecDeque::new();
    for line in BufReader::new(log).split(b'\n') {
        let line = line.map_err(|error| format!("the log of libFuzzer: {error}"))?;
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(progress) = libfuzzer::progress(&line) {
            outcome.progress = progress;
            if line.contains("INITED") {
                outcome.edges_before = progress.edges;
            }
            if shown.elapsed() >= TICK {
                shown = Instant::now();
                println!(
                    "    {} s: {} executions, {}/s, {} edges",
                    begun.elapsed().as_secs(),
                    progress.executions,
                    progress.rate,
                    progress.edges
                );
            }
        } else if let Some(executions) = line.strip_prefix("stat::number_of_executed_units:").and_then(|number| number.trim().parse().ok())
        {
            outcome.progress.executions = executions;
        } else {
            last.push_back(line);
            if last.len() > 40 {
                last.pop_front();
            }
        }
    }
    let status = child.wait().map_err(|error| format!("libFuzzer: {error}"))?;
    Ok((outcome, last.into(), status.success()))
}

/// The file that libFuzzer says it has written the input to.
fn said_path(log: &[String]) -> Option<PathBuf> {
    log.iter().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| PathBuf::from(path.trim())))
}

/// As rows for `docs/src/untrusted-input.md`.
fn report(outcomes: &[(String, Outcome)]) {
    println!("\n| target | executions | a second | edges before | edges after | new inputs | found |\n|---|--:|--:|--:|--:|--:|---|");
    for (target, outcome) in outcomes {
        let found = outcome.crash.as_ref().map_or_else(|| "nothing".to_owned(), |path| path.display().to_string());
        let Progress { executions, rate, edges } = outcome.progress;
        println!("| `{target}` | {executions} | {rate} | {} | {edges} | {} | {found} |", outcome.edges_before, outcome.new);
    }
}
