//! What this machine is, and what a process uses of it. Linux only: it reads `/proc`.

use std::path::Path;
use std::process::Command;

use crate::{Failed, Outcome};

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// One core for the server under test, and the others for whoever asks it; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Halves {
    all: String,
}

impl Halves {
    /// Moves this thread, and those that it will start, away from the core that is for the server.
    ///
    /// # Errors
    /// Where there are fewer than two cores, or no `taskset` (util-linux).
    pub(crate) fn take() -> Outcome<Self> {
        let status = read("/proc/self/status")?;
        let all = field(&status, "Cpus_allowed_list").ok_or("no Cpus_allowed_list in /proc/self/status")?.to_owned();
        let last = cores().checked_sub(1).filter(|last| *last > 0).ok_or("one core for the server and one for the load are needed")?;
        let halves = Self { all };
        bind(&if last == 1 { "1".to_owned() } else { format!("1-{last}") })?;
        Ok(halves)
    }

    /// The core of the server, as `taskset` wants it.
    #[expect(clippy::unused_self, reason = "nobody may use it who has not taken it")]
    pub(crate) const fn server(&self) -> &'static str {
        "0"
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        // Whatever is measured later would be slower, and its row says on how many cores the load was.
        let _ = bind(&self.all);
    }
}

/// Lets this process's main thread run on these cores only.
fn bind(cores: &str) -> Outcome<()> {
    let bound = Command::new("taskset").args(["--cpu-list", "--pid", cores, &std::process::id().to_string()]).output();
    let output = bound.map_err(|error| format!("taskset: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr)).into()) }
}

/// What the numbers were measured on, a name and a fact each. `folder` is where the databases lie.
pub(crate) fn facts(folder: &Path) -> Vec<(&'static str, String)> {
    let cpu = read("/proc/cpuinfo").ok().and_then(|text| field(&text, "model name").map(str::to_owned));
    let kernel = read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()).ok();
    let disk = read("/proc/self/mounts").ok().and_then(|mounts| file_system(&mounts, folder));
    let load = read("/proc/loadavg").ok().and_then(|text| text.split(' ').next().map(str::to_owned));
    let facts = [
        ("CPU", cpu),
        ("cores", Some(cores().to_string())),
        ("kernel", kernel),
        ("disk", disk),
        ("load before", load),
        ("date", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("rustc", said("rustc", &["--version"])),
        ("commit", said("git", &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])),
    ];
    facts.into_iter().map(|(name, fact)| (name, fact.unwrap_or_else(|| "unknown".to_owned()))).collect()
}

/// Whether what is written there only stays in memory, so that a durable commit costs nothing.
pub(crate) fn is_in_memory(folder: &Path) -> bool {
    let system = read("/proc/self/mounts").ok().and_then(|mounts| file_system(&mounts, folder));
    system.is_some_and(|system| matches!(system.split(' ').next(), Some("tmpfs" | "ramfs")))
}

/// Resident memory of a process, in bytes.
///
/// # Errors
/// When there is no such process.
pub(crate) fn resident_bytes(pid: u32) -> Outcome<u64> {
    let status = read(&format!("/proc/{pid}/status"))?;
    let kib = field(&status, "VmRSS").and_then(|text| text.strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kib.ok_or("no VmRSS in /proc/PID/status")? * 1_024)
}

/// Seconds of processor time that a process has used, in steps of a hundredth.
///
/// # Errors
/// When there is no such process.
pub(crate) fn cpu_seconds(pid: u32) -> Outcome<f64> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    ticks(&stat).map(|ticks| ticks as f64 / TICKS_PER_SECOND).ok_or_else(|| "no times in /proc/PID/stat".into())
}

/// `USER_HZ`, which Linux keeps at 100 on every platform that Rust has a tier 1 or 2 target for.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time out of `/proc/PID/stat`: its fields 14 and 15. The second one, the name, may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut behind_name = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = behind_name.next()?.parse().ok()?;
    let system: u64 = behind_name.next()?.parse().ok()?;
    Some(user + system)
}

/// The value of `name: value` in a file of such lines.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

/// The type and the device of the file system that `folder` is on.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?))
    });
    // Of two on the same place, the later one covers the earlier.
    let (device, _, kind) = mounts.filter(|(_, place, _)| folder.starts_with(place)).max_by_key(|(_, place, _)| place.len())?;
    Some(format!("{kind} on {device}"))
}

fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn read(path: &str) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| Failed::from(format!("{path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/x xfs rw 0 0\n/dev/vdc /tmp/x btrfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/x/y")).as_deref(), Some("btrfs on /dev/vdc"));
        assert_eq!(file_system(mounts, Path::new("/tmp/xy")).as_deref(), Some("tmpfs on tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/var")).as_deref(), Some("ext4 on /dev/vda"));
        assert_eq!(file_system("", Path::new("/var")), None);
    }

    #[test]
    fn processor_time_is_found_behind_whatever_name_the_process_has() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 149 0 0 0 12 30 0 0 20 0 1 0 100 0 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn a_process_knows_its_own_memory() {
        let own = resident_bytes(std::process::id()).expect("it runs");
        assert!(own > 100_000, "{own}");
        assert!(cpu_seconds(std::process::id()).is_ok());
        assert!(resident_bytes(u32::MAX).is_err());
    }
}
