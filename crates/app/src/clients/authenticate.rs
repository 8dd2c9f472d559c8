//! Client authentication: the one place that says whether a request comes from the client it names.
//!
//! Another way to prove oneself is another arm of [`Proof`]. Invariant: an unknown client, a
//! disabled one and a wrong secret get the same answer after the same work; and a right secret is never made to wait for wrong ones.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::audit::{Actor, AuditEvent};
use domain::client::assertion::{self, AssertionAlg, Audience, MacAlg};
use domain::client::{AuthMethod, Client, ClientId};
use domain::guess::GuessScope;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::time::Timestamp;

use crate::clients::documents;
use crate::clients::key_sets::open_signed;
use crate::clients::secrets::signing;
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::mtls::{ShownCertificate, is_certified};
use crate::ports::keys::{ForeignRefused, ForeignToken};

/// What a request brings along to say who sent it.
#[derive(Debug)]
pub struct Presented {
    pub client_id: String,
    pub proof: Proof,
    /// What the connection says besides. It proves those alone who have registered to prove themselves by it.
    pub certificate: Option<ShownCertificate>,
}

#[derive(Debug)]
pub enum Proof {
    /// Nothing but its name.
    None,
    /// A secret, in the header or in the body.
    Secret { method: AuthMethod, secret: Secret<String> },
    /// A JWT that it has signed (RFC 7523, 2.2).
    Assertion(String),
}

impl Proof {
    /// Whether it is what a client with this method brings.
    fn is_of(&self, registered: AuthMethod) -> bool {
        match self {
            // RFC 8705, 2: whoever shows a certificate says its name, and nothing else.
            Self::None => registered == AuthMethod::None || registered.is_by_certificate(),
            Self::Secret { method, .. } => registered == *method,
            Self::Assertion(_) => registered.is_by_assertion(),
        }
    }
}

#[derive(Debug)]
pub enum ClientDenied {
    NotAuthenticated,
    TooManyAttempts { retry_at: Timestamp },
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for ClientDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// The client that sent this, if it is an active one and proves it in the way it has registered. One statement.
///
/// # Errors
/// See [`ClientDenied`].
#[tracing::instrument(level = "debug", name = "app.authenticate_client", skip_all)]
pub async fn authenticate(ctx: &Ctx, tenant: &Tenant, presented: Presented, origin: &Origin) -> Result<Client, ClientDenied> {
    let Presented { client_id, proof, certificate } = presented;
    let Ok(id) = ClientId::try_from(client_id) else { return Err(ClientDenied::NotAuthenticated) };
    let known = if id == ClientId::first_party() { Some(Client::first_party()) } else { documents::client(ctx, tenant, &id, None).await? };
    // Somebody who is not there has no secrets: the same hash is made, and nothing equals it.
    let nobody = Client::first_party();
    let client = known.as_ref().unwrap_or(&nobody);
    let method = client.settings.token_endpoint_auth_method;
    let is_meant = proof.is_of(method) && client.is_active();
    let is_proved = match &proof {
        Proof::None if method.is_by_certificate() => is_meant && is_certified(ctx, tenant.id, client, certificate.as_ref()).await,
        Proof::None => true,
        Proof::Secret { secret, .. } => client.is_secret(secret.expose(), ctx.now()),
        // Nobody is asked for keys on behalf of a client that proves itself in another way.
        Proof::Assertion(assertion) => is_meant && is_asserted(ctx, tenant, client, assertion).await?,
    };
    match known {
        Some(client) if is_proved && is_meant => Ok(client),
        known => Err(refused(ctx, tenant, &id, known.is_some(), matches!(proof, Proof::Secret { .. }), origin).await),
    }
}

/// The client that an assertion says it is from, before anybody has looked whether that is true.
pub fn named_in(assertion: &str) -> Option<String> {
    claim_in(assertion, "sub")
}

/// A word that a JWT says, before anybody has looked whether that is true.
pub(crate) fn claim_in(assertion: &str, name: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    claims.get(name)?.as_str().map(str::to_owned)
}

/// Types that an assertion may have: none, that of any JWT, and its own (rfc7523bis). A token of another kind is none (RFC 8725, 3.11).
const ASSERTION_TYPES: [&str; 2] = ["jwt", "client-authentication+jwt"];

/// Whether `client` has signed this, for us, now, and uses it for the first time. What is good is used up, in one durable commit.
async fn is_asserted(ctx: &Ctx, tenant: &Tenant, client: &Client, assertion: &str) -> Result<bool, Fault> {
    let refused = |why: &str| {
        tracing::info!(client_id = %client.id, why, "a client's assertion was refused");
        Ok(false)
    };
    let opened = match opened(ctx, tenant, client, assertion).await? {
        Ok(opened) => opened,
        Err(ForeignRefused::UnknownKey) => return refused("no key of the client may have signed it"),
        Err(ForeignRefused::Bad) => return refused("its form, algorithm or signature"),
    };
    if opened.typ.is_some_and(|typ| !ASSERTION_TYPES.contains(&typ.to_ascii_lowercase().as_str())) {
        return refused("its typ is that of another token");
    }
    let issuer = tenant.issuer(&ctx.base_url);
    let token_endpoint = format!("{issuer}/oauth/token");
    let token_endpoint = (!client.settings.require_issuer_audience).then_some(token_endpoint.as_str());
    let good = match assertion::judge(&opened.claims, &client.id, Audience { issuer: &issuer, token_endpoint }, ctx.now()) {
        Ok(good) => good,
        Err(why) => return refused(why.0),
    };
    let mut tx = ctx.store.begin(tenant.id).await?;
    if !tx.spend(&good.name, good.expires_at).await? {
        return refused("it was used before");
    }
    tx.commit().await?;
    Ok(true)
}

/// What the client has signed, with its key or with a secret that it shares with us: one of them, never the other in its place.
async fn opened(ctx: &Ctx, tenant: &Tenant, client: &Client, assertion: &str) -> Result<Result<ForeignToken, ForeignRefused>, Fault> {
    let settings = &client.settings;
    Ok(match (settings.token_endpoint_auth_method, settings.token_endpoint_auth_signing_alg) {
        (AuthMethod::PrivateKeyJwt, None) => open_signed(ctx, tenant.id, client, assertion, settings.signing_algs()).await,
        (AuthMethod::PrivateKeyJwt, Some(AssertionAlg::Key(alg))) => open_signed(ctx, tenant.id, client, assertion, &[alg]).await,
        (AuthMethod::ClientSecretJwt, named) => {
            let algs = match named {
                None => MacAlg::ALL.to_vec(),
                Some(AssertionAlg::Secret(alg)) => vec![alg],
                Some(AssertionAlg::Key(_)) => return Ok(Err(ForeignRefused::Bad)),
            };
            ctx.keys.open_shared(assertion, &signing(ctx, tenant.id, client).await?, &algs)
        }
        _ => Err(ForeignRefused::Bad),
    })
}

/// Counts a wrong secret, by client and place, and writes it down when the client exists.
async fn refused(ctx: &Ctx, tenant: &Tenant, id: &ClientId, is_known: bool, is_guess: bool, origin: &Origin) -> ClientDenied {
    let noted = async {
        if !is_guess {
            return Ok(ClientDenied::NotAuthenticated);
        }
        let signer = ctx.keys.signer(tenant.id, 0).await?;
        let whose = [id.as_str().as_bytes(), b"\0", &origin.place()].concat();
        let asked = (GuessScope::ClientSecret, signer.blind("client-secret", &whose));
        let now = ctx.now();
        let mut tx = ctx.store.begin(tenant.id).await?;
        let counter = tx.guess_counters(&[asked]).await?.pop().unwrap_or_default();
        let counter = match counter.attempt(asked.0, now) {
            Ok(counter) => counter,
            Err(denied) => return Ok(ClientDenied::TooManyAttempts { retry_at: denied.retry_at }),
        };
        tx.guess_counters_set(&[(asked.0, asked.1, counter)], now).await?;
        if is_known {
            let event = AuditEvent::ClientNotAuthenticated { client_id: id.clone() };
            tx.audit_append(&ctx.record(tenant.id, Actor::Anonymous, origin, event)).await?;
        }
        tx.commit().await?;
        Ok::<_, Fault>(ClientDenied::NotAuthenticated)
    };
    noted.await.unwrap_or_else(ClientDenied::Fault)
}
