//! Introspection (RFC 7662) and userinfo, on one core, with few sessions stored and with many.
//!
//! The many are copies of a real one, made in the database itself while no server runs: that logging in is slow by intention is measured
//! elsewhere.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::claviger::{Claviger, Place};
use crate::http::{self, Answer, Line};
use crate::limits::code_flow::Tab;
use crate::limits::{Plan, Rows, median};
use crate::load::{Load, Talk, window};
use crate::stage::{self, Registered};
use crate::table::{Aim, Row, Unit};
use crate::{Outcome, machine, progress};

const CONNECTIONS: usize = 32;
/// Sessions whose tokens are asked about.
const SESSIONS: usize = 256;
const INTROSPECT: &str = "/t/bench/oauth/introspect";
const USERINFO: &str = "/t/bench/oauth/userinfo";

/// Asks about its tokens in turn.
struct Asker {
    requests: Vec<Vec<u8>>,
    next: usize,
    /// What every answer has to hold.
    wanted: &'static str,
}

impl Talk for Asker {
    fn ask(&mut self, request: &mut Vec<u8>) {
        request.clear();
        request.extend_from_slice(&self.requests[self.next]);
        self.next = (self.next + 1) % self.requests.len();
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()> {
        answer.insist(200)?;
        let body = std::str::from_utf8(answer.body)?;
        if body.contains(self.wanted) { Ok(()) } else { Err(format!("without {}: {body}", self.wanted).into()) }
    }
}

pub(super) fn measure(plan: &Plan) -> Rows {
    let cores = machine::Halves::take()?;
    let place = Place::sqlite(&plan.place("tokens"));
    let claviger = Claviger::start_on(&cores, &place)?;
    let mut admin = claviger.admin()?;
    stage::tenant(&mut admin)?;
    let client = stage::client(&mut admin, &Tab::metadata())?;
    let mut line = Line::open(claviger.target().addr)?;
    let names = stage::users(&mut admin, "asked", SESSIONS)?;
    progress(format_args!("    {SESSIONS} logins"));
    let mut tokens = Vec::new();
    for name in &names {
        let mut tab = Tab::log_in(&mut line, &client, name)?;
        tokens.push(tab.tokens(&mut line)?.access_token);
    }
    let (few_introspected, few_told) = both(plan, &claviger, &client, &tokens)?;
    let place = place.again(&claviger);
    claviger.stop()?;

    progress(format_args!("    {} sessions are stored", plan.families));
    multiply(&place, plan.families)?;
    let claviger = Claviger::start_on(&cores, &place)?;
    let (introspected, told) = both(plan, &claviger, &client, &tokens)?;
    let row = |what: &str, load: Load, aim| Row {
        what: format!("{what}, one core, {SESSIONS} sessions"),
        unit: Unit::PerSecond,
        claviger: load.per_second,
        beside: None,
        aim,
        detail: load.detail(),
    };
    let many = |what: &str, many: Load, few: Load| Row {
        what: format!("{what}, one core, {} sessions stored", plan.families),
        beside: Some((few.per_second, format!("the same with {SESSIONS}"))),
        ..row(what, many, Aim::RatioAtLeast(0.9))
    };
    let least = Aim::AtLeast(18_000.0);
    Ok(vec![
        row("Introspection", few_introspected, least),
        many("Introspection", introspected, few_introspected),
        row("Userinfo", few_told, least),
        many("Userinfo", told, few_told),
    ])
}

/// Introspection and userinfo of these tokens.
fn both(plan: &Plan, claviger: &Claviger, client: &Registered, tokens: &[String]) -> Outcome<(Load, Load)> {
    let introspect = |token: &String| {
        let (mut request, body) = (Vec::new(), format!("token={token}&{}", client.in_form()));
        http::request(&mut request, "POST", INTROSPECT, stage::FORM, body.as_bytes());
        request
    };
    let userinfo = |token: &String| {
        let mut request = Vec::new();
        http::request(&mut request, "GET", USERINFO, &format!("authorization: Bearer {token}\r\n"), b"");
        request
    };
    let askers = |of: &dyn Fn(&String) -> Vec<u8>, wanted| {
        let share = tokens.len() / CONNECTIONS;
        let all = tokens.chunks(share.max(1));
        all.map(|tokens| Asker { requests: tokens.iter().map(of).collect(), next: 0, wanted }).collect::<Vec<_>>()
    };
    let mut introspecting = askers(&introspect, "\"active\":true");
    let mut telling = askers(&userinfo, "\"sub\":\"");
    let introspected = median("introspection", || window(claviger.target(), &mut introspecting, plan.span))?;
    Ok((introspected, median("userinfo", || window(claviger.target(), &mut telling, plan.span))?))
}

/// Stores copies of the sessions that there are, until there are `many`.
fn multiply(place: &Place, many: u64) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options: SqliteConnectOptions = place.database_url().parse()?;
        let mut db = options.disable_statement_logging().connect().await?;
        // All columns but the id.
        let columns: Vec<String> =
            sqlx::query_scalar("SELECT name FROM pragma_table_info('refresh_families') WHERE name <> 'id'").fetch_all(&mut db).await?;
        let columns = columns.join(", ");
        let there: i64 = sqlx::query_scalar("SELECT count(*) FROM refresh_families").fetch_one(&mut db).await?;
        let mut missing = i64::try_from(many)? - there;
        while missing > 0 {
            let portion = missing.min(50_000);
            let copy = format!(
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1), \
                 real AS (SELECT * FROM refresh_families LIMIT 1) \
                 INSERT INTO refresh_families (id, {columns}) SELECT randomblob(16), {columns} FROM n, real"
            );
            sqlx::query(sqlx::AssertSqlSafe(copy)).bind(portion).execute(&mut db).await?;
            missing -= portion;
        }
        db.close().await?;
        Ok(())
    })
}
