//! `claviger tenants import`: tenants from another system, with their users and ready-made password hashes, one JSON object a line.
//!
//! The server may be running. Invariant: a line is imported whole or not at all, and one whose slug is there is left alone, so
//! that an import that was broken off is simply run again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use app::credentials::password;
use app::ctx::{Ctx, Origin};
use app::import::{self, ImportTenant, ImportUser, Imported};
use domain::audit::Actor;
use domain::keys::policy::RotationNumbers;
use domain::secret::Secret;
use domain::tenant::TenantPolicy;
use domain::text::{BadText, DisplayName, Email, Slug, Username};
use domain::user::{CustomClaims, Roles, UserNames};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use storage::SqlStore;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader, Lines};

use super::{Failed, say};
use crate::custody;
use crate::settings::Settings;
use crate::wire::{self, Upgrade};

/// Tenants of one transaction, and transactions at a time: few enough that a running server's logins get between.
const TOGETHER: usize = 50;
const AT_ONCE: usize = 4;
/// Between two reports of how far it is.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// One line. Members are those of the admin API's tenant and user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantLine {
    slug: Slug,
    name: DisplayName,
    #[serde(default)]
    policy: TenantPolicy,
    /// By what its keys rotate.
    key_policy: Option<RotationNumbers>,
    #[serde(default)]
    users: Vec<UserLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserLine {
    username: Option<Username>,
    email: Option<Email>,
    /// There is no `password`: one in clear does not belong into a file.
    password_hash: Option<Secret<String>>,
    #[serde(default)]
    roles: Roles,
    #[serde(default)]
    claims: CustomClaims,
}

impl TenantLine {
    fn checked(self) -> Result<ImportTenant, BadText> {
        let user = |line: UserLine| {
            Ok(ImportUser {
                names: UserNames::new(line.username, line.email)?,
                phc: line.password_hash.map(|hash| password::import(hash.expose())).transpose()?,
                roles: line.roles,
                claims: line.claims,
            })
        };
        let users = self.users.into_iter().map(user).collect::<Result<_, BadText>>()?;
        Ok(ImportTenant { slug: self.slug, name: self.name, policy: self.policy, key_policy: self.key_policy, users })
    }
}

/// Imports from `file`; `-` is standard input.
pub(super) async fn run(settings: &Settings, file: &Path) -> Result<(), Failed> {
    custody::given(settings)?;
    // Before anything is made.
    let lines = opened(file).await.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let store = SqlStore::new(wire::open_or_make(settings, Upgrade::Rolling).await?);
    let custody = Arc::new(custody::open_or_new(settings, &store).await?);
    custody::check_primary(&custody, &store).await?;
    let directory = wire::visit(settings, custody, Arc::new(store.clone()));
    let ctx = wire::visiting(settings, &store, &directory).await?;
    let imported = import_all(&ctx, lines).await;
    directory.shutdown().await;
    store.database().close().await?;
    let Imported { created, present } = imported?;
    say(format_args!("{created} tenants were imported, {present} were there"))
}

async fn opened(file: &Path) -> std::io::Result<Lines<Box<dyn AsyncBufRead + Unpin>>> {
    let source: Box<dyn AsyncBufRead + Unpin> = if file == Path::new("-") {
        Box::new(BufReader::new(tokio::io::stdin()))
    } else {
        Box::new(BufReader::new(tokio::fs::File::open(file).await?))
    };
    Ok(source.lines())
}

async fn import_all(ctx: &Ctx, lines: Lines<Box<dyn AsyncBufRead + Unpin>>) -> Result<Imported, Failed> {
    let numbered = stream::try_unfold((lines, 0_u64), |(mut lines, number)| async move {
        let line = lines.next_line().await?;
        Ok::<_, Failed>(line.map(|line| ((number + 1, line), (lines, number + 1))))
    });
    let tenants = numbered.try_filter(|(_, line)| std::future::ready(!line.trim().is_empty())).and_then(|(number, line)| {
        let parsed = serde_json::from_str::<TenantLine>(&line).map_err(|error| error.to_string());
        let tenant = parsed.and_then(|line| line.checked().map_err(|error| error.to_string()));
        std::future::ready(tenant.map_err(|error| format!("line {number}: {error}").into()))
    });
    let (origin, begun, mut all, mut reported_at) = (Origin::default(), Instant::now(), Imported::default(), Instant::now());
    // A line that cannot be read does not keep those before it from being imported.
    let batches = tenants.try_chunks(TOGETHER).map(|chunk| chunk.map_or_else(|broken| (broken.0, Some(broken.1)), |batch| (batch, None)));
    let mut done = std::pin::pin!(
        batches
            .map(|(batch, then)| async {
                let imported = import::tenants(ctx, batch, &Actor::System, &origin).await?;
                then.map_or(Ok::<_, Failed>(imported), Err)
            })
            .buffer_unordered(AT_ONCE)
    );
    while let Some(Imported { created, present }) = done.try_next().await? {
        (all.created, all.present) = (all.created + created, all.present + present);
        if reported_at.elapsed() >= REPORT_EVERY {
            reported_at = Instant::now();
            let rate = all.created as f64 / begun.elapsed().as_secs_f64();
            tracing::info!("{} tenants imported ({rate:.0}/s), {} were there", all.created, all.present);
        }
    }
    Ok(all)
}

/// Where tenants are imported from.
#[derive(Debug, clap::Subcommand)]
pub(super) enum TenantsCommand {
    /// Import tenants with their users, one JSON object a line. What is there already stays as it is: run it again after a failure.
    Import {
        /// A file of lines such as {"slug":"acme","name":"Acme","users":[{"username":"alice","password_hash":"$argon2id$…"}]}; - is standard input.
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use domain::keys::ring::Alg;

    use super::*;

    fn read(line: &str) -> Result<ImportTenant, String> {
        let line: TenantLine = serde_json::from_str(line).map_err(|error| error.to_string())?;
        line.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_is_a_tenant_with_its_users_and_holds_no_password_in_clear() {
        let hash = format!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ${}", "A".repeat(43));
        let line = |user: &str| {
            format!(
                r#"{{"slug":"acme","name":"Acme","policy":{{"access_ttl_seconds":60}},"key_policy":{{"algs":["ES256"]}},"users":[{user}]}}"#
            )
        };
        let tenant = read(&line(&format!(r#"{{"username":"alice","password_hash":"{hash}"}}"#))).expect("a tenant");
        assert_eq!((tenant.slug.as_str(), tenant.users.len()), ("acme", 1));
        assert_eq!(tenant.key_policy.expect("a policy for keys").algs, [Alg::ES256]);
        assert!(tenant.users[0].phc.is_some());
        assert!(read(&line(r#"{"username":"alice"}"#)).expect("a tenant").users[0].phc.is_none());
        for bad in [r#"{"username":"alice","password":"in clear"}"#, r#"{"username":"alice","password_hash":"junk"}"#, "{}"] {
            assert!(read(&line(bad)).is_err(), "{bad}");
        }
        assert!(read("{}").is_err() && read(r#"{"slug":"A b","name":"x"}"#).is_err());
    }
}
