//! A server as a child process, looked at from outside.
//!
//! Invariant: it does not outlive its handle.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::{self, Line};
use crate::{Outcome, machine};

/// How long a server may take to answer for the first time, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to connect.
const RETRY: Duration = Duration::from_micros(200);

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    spawned_at: Instant,
    log: PathBuf,
}

impl Process {
    /// Starts a command that logs to the file `log`, and does not wait for anything.
    pub(crate) fn spawn(command: &mut Command, log: &Path) -> Outcome<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log)?);
        let spawned_at = Instant::now();
        let child = command.spawn().map_err(|error| format!("{} did not start: {error}", command.get_program().display()))?;
        Ok(Self { child, spawned_at, log: log.to_owned() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        machine::resident_bytes(self.pid())
    }

    /// Asks for `path` until 200 comes back; answers how long after its birth the process had answered.
    ///
    /// # Errors
    /// With the end of its log, when it ends instead, takes too long or answers something else.
    pub(crate) fn first_answer(&mut self, addr: SocketAddr, path: &str) -> Outcome<Duration> {
        let mut request = Vec::new();
        http::request(&mut request, "GET", path, "", b"");
        loop {
            // Until it listens, connections are refused; then the first answer counts.
            if let Ok(mut line) = Line::open(addr) {
                line.exchange(&request).and_then(|answer| answer.insist(200)).map_err(|error| self.blame(&error.to_string()))?;
                return Ok(self.spawned_at.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.blame(&format!("it ended ({status})")).into());
            }
            if self.spawned_at.elapsed() > PATIENCE {
                return Err(self.blame("it did not answer").into());
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        let asked_at = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked_at.elapsed() > PATIENCE {
                return Err(self.blame("it did not end when it was asked to").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn blame(&self, what: &str) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(8)..].join("\n  ");
        format!("a server under test: {what}; its log ends with\n  {end}")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of this machine that nobody listens on at the moment.
pub(crate) fn free_addr() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
