//! A key-encryption key behind a program of the operator's: any KMS that somebody can script.
//!
//! Invariant: no shell, no environment but what the settings name, one call per process, and a process that is too slow is
//! killed. A data key goes through pipes only, never through an argument.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::secret::Secret;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::{Kek, KekFault};

/// The most that a program may answer.
const MOST: u64 = 64 * 1024;
/// The exit status that says: this was not wrapped by me in this context.
const REFUSED: i32 = 3;
/// What every program gets of the environment.
const ALWAYS: [&str; 2] = ["PATH", "HOME"];

/// Which program, and how it is called.
#[derive(Debug, Clone)]
pub struct KekCommand {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Names of environment variables that it gets, besides `PATH` and `HOME`.
    pub env: Vec<String>,
    pub timeout: Duration,
}

/// A key that a program wraps and unwraps with.
#[derive(Debug)]
pub struct CommandKek {
    id: String,
    command: KekCommand,
}

#[derive(Deserialize)]
struct Wrapped {
    ciphertext: Secret<String>,
}

#[derive(Deserialize)]
struct Unwrapped {
    plaintext: Secret<String>,
}

impl CommandKek {
    pub const fn new(id: String, command: KekCommand) -> Self {
        Self { id, command }
    }

    /// Calls the program with one JSON object; answers what it wrote.
    async fn call(&self, operation: &str, context: &[u8], member: &str, value: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        let encoded = Zeroizing::new(STANDARD.encode(value));
        // The id has no character that needs escaping, nor has base64.
        let question = Zeroizing::new(format!(
            r#"{{"operation":"{operation}","key_id":"{}","context":"{}","{member}":"{}"}}"#,
            self.id,
            STANDARD.encode(context),
            *encoded
        ));
        let name = self.command.program.display();
        let answer = tokio::time::timeout(self.command.timeout, self.run(&question)).await;
        answer.unwrap_or_else(|_| Err(KekFault::Unavailable(format!("{name} took longer than {:?} and was killed", self.command.timeout))))
    }

    async fn run(&self, question: &str) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        let name = self.command.program.display();
        let failed = |what: &str, error: std::io::Error| KekFault::Unavailable(format!("{name} {what}: {error}"));
        let given = ALWAYS.into_iter().chain(self.command.env.iter().map(String::as_str));
        let mut child = Command::new(&self.command.program)
            .args(&self.command.args)
            .env_clear()
            .envs(given.filter_map(|variable| Some((variable, std::env::var_os(variable)?))))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it has to say to people goes where our own does.
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed("does not start", error))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(KekFault::Unavailable(format!("{name} has no pipes")));
        };
        let mut answer = Zeroizing::new(Vec::with_capacity(4_096));
        let asking = async move {
            // A program that ends without reading is judged by its exit status.
            let _ = stdin.write_all(question.as_bytes()).await;
            drop(stdin);
        };
        let mut stdout = stdout.take(MOST);
        let (read, ()) = tokio::join!(stdout.read_to_end(&mut answer), asking);
        read.map_err(|error| failed("was not heard to the end", error))?;
        drop(stdout);
        let status = child.wait().await.map_err(|error| failed("did not end", error))?;
        match status.code() {
            Some(0) => Ok(answer),
            Some(REFUSED) => Err(KekFault::Refused),
            _ => Err(KekFault::Unavailable(format!("{name} ended with {status}"))),
        }
    }

    fn read<'a, T: Deserialize<'a>>(&self, answer: &'a [u8]) -> Result<T, KekFault> {
        serde_json::from_slice(answer).map_err(|_| self.senseless())
    }

    fn decoded(&self, text: &str) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        STANDARD.decode(text).map(Zeroizing::new).map_err(|_| self.senseless())
    }

    fn senseless(&self) -> KekFault {
        KekFault::Unavailable(format!("{} does not answer as docs/src/custody.md says", self.command.program.display()))
    }
}

#[async_trait]
impl Kek for CommandKek {
    fn id(&self) -> &str {
        &self.id
    }

    fn provider(&self) -> &'static str {
        "command"
    }

    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, KekFault> {
        let answer = self.call("wrap", context, "plaintext", key).await?;
        let Wrapped { ciphertext } = self.read(&answer)?;
        Ok(self.decoded(ciphertext.expose())?.to_vec())
    }

    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        let answer = self.call("unwrap", context, "ciphertext", wrapped).await?;
        let Unwrapped { plaintext } = self.read(&answer)?;
        self.decoded(plaintext.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kek::check;

    /// A toy that is bound to its context all the same: what it gives out is the question's own words.
    const TOY: &str = r#"
import base64, hashlib, json, os, sys
question = json.load(sys.stdin)
if "SECRET" in os.environ or sys.argv[1:] != ["--key", "a b;c"]: sys.exit(9)
decode = lambda name: base64.b64decode(question[name])
mask = hashlib.sha256(b"toy" + question["key_id"].encode() + decode("context")).digest()
tag = lambda text: hashlib.sha256(mask + text).digest()
encode = lambda name, value: print(json.dumps({name: base64.b64encode(value).decode()}))
if question["operation"] == "wrap":
    text = bytes(a ^ b for a, b in zip(decode("plaintext"), mask))
    encode("ciphertext", text + tag(text))
else:
    wrapped = decode("ciphertext")
    if tag(wrapped[:32]) != wrapped[32:]: sys.exit(3)
    encode("plaintext", bytes(a ^ b for a, b in zip(wrapped[:32], mask)))
"#;

    fn kek(folder: &tempfile::TempDir, script: &str, timeout: Duration) -> CommandKek {
        use std::os::unix::fs::PermissionsExt;
        let program = folder.path().join("wrap");
        // Renamed into place: a file that is open for writing cannot be started.
        let draft = folder.path().join("draft");
        std::fs::write(&draft, script).unwrap();
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::rename(&draft, &program).unwrap();
        let args = vec!["--key".to_owned(), "a b;c".to_owned()];
        CommandKek::new("kms-1".to_owned(), KekCommand { program, args, env: Vec::new(), timeout })
    }

    #[tokio::test]
    async fn a_program_wraps_and_unwraps_in_its_context() {
        let folder = tempfile::tempdir().unwrap();
        let kek = kek(&folder, &format!("#!/usr/bin/env python3\n{TOY}"), Duration::from_secs(60));
        check(&kek).await.unwrap();
        let mut wrapped = kek.wrap(b"context", &[7; 32]).await.unwrap();
        assert_eq!(&**kek.unwrap(b"context", &wrapped).await.unwrap(), &[7; 32]);
        assert_eq!(kek.unwrap(b"contexT", &wrapped).await, Err(KekFault::Refused));
        wrapped[3] ^= 1;
        assert_eq!(kek.unwrap(b"context", &wrapped).await, Err(KekFault::Refused));
    }

    #[tokio::test]
    async fn a_program_that_fails_in_any_other_way_is_away() {
        let folder = tempfile::tempdir().unwrap();
        for script in [
            "#!/bin/sh\nexit 1\n",
            "#!/bin/sh\ncat >/dev/null; echo '{\"ciphertext\": 7}'\n",
            "#!/bin/sh\ncat >/dev/null; echo '{\"ciphertext\": \"!\"}'\n",
            "#!/bin/sh\nkill -9 $$\n",
            "#!/bin/sh\nyes\n",
            "#!/nowhere/at/all\n",
        ] {
            let kek = kek(&folder, script, Duration::from_secs(60));
            let outcome = kek.wrap(b"context", &[7; 32]).await;
            let Err(KekFault::Unavailable(why)) = outcome else { panic!("{script}: {outcome:?}") };
            assert!(why.contains("wrap"), "{why}");
        }
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("#!/bin/sh\necho $$ > {}/pid\nexec cat /dev/zero > /dev/null\n", folder.path().display());
        let kek = kek(&folder, &script, Duration::from_millis(300));
        let Err(KekFault::Unavailable(why)) = kek.wrap(b"context", &[7; 32]).await else { panic!("answered") };
        assert!(why.contains("was killed"), "{why}");
    }

    #[tokio::test]
    async fn a_program_that_ignores_the_context_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let echo = "#!/usr/bin/env python3\nimport json, sys\nq = json.load(sys.stdin)\n\
                    print(json.dumps({'ciphertext': q['plaintext']} if q['operation'] == 'wrap' else {'plaintext': q['ciphertext']}))\n";
        let Err(KekFault::Unavailable(why)) = check(&kek(&folder, echo, Duration::from_secs(60))).await else { panic!("passed") };
        assert!(why.contains("context"), "{why}");
    }
}
