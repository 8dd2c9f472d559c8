//! What every use case is given: the ports, and who is asking.

use std::net::IpAddr;
use std::sync::Arc;

use domain::audit::{Actor, AuditEvent, AuditRecord};
use domain::handle::{Handle, HandleKind};
use domain::ids::{EventId, TenantId};
use domain::time::Timestamp;

use crate::authorize::by_reference::Fetches;
use crate::clients::documents::Documents;
use crate::clients::key_sets::KeySets;
use crate::clients::origins::ClientOrigins;
use crate::credentials::hash_pool::HashPool;
use crate::hosts::Hosts;
use crate::mtls::MutualTls;
use crate::ports::keys::Keys;
use crate::ports::mail::Mailer;
use crate::ports::outbound::Outbound;
use crate::ports::store::Store;
use crate::ports::world::{Clock, Entropy};
use crate::resources::DetailTypes;
use crate::tenants::TenantCache;
use crate::verifiers::VerifierTally;

/// The world as the use cases see it. One per process.
pub struct Ctx {
    pub store: Arc<dyn Store>,
    pub keys: Arc<dyn Keys>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub outbound: Arc<dyn Outbound>,
    pub mail: Arc<dyn Mailer>,
    pub hashing: HashPool,
    pub tenants: TenantCache,
    pub verifiers: VerifierTally,
    pub key_sets: KeySets,
    pub documents: Documents,
    /// How many requests are fetched for whom.
    pub request_fetches: Fetches,
    pub mutual_tls: MutualTls,
    pub origins: ClientOrigins,
    /// What clients may ask for in detail, for the metadata.
    pub detail_types: DetailTypes,
    /// Scheme and authority of the installation, without a slash at the end: of every issuer that has no domain of its own.
    pub base_url: String,
    pub hosts: Hosts,
}

impl std::fmt::Debug for Ctx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ctx").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl Ctx {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Ten random bytes: what an id takes besides the time.
    pub fn id_entropy(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// A new handle of this kind: 256 random bits.
    pub fn handle(&self, kind: HandleKind) -> Handle {
        let mut bits = [0; 32];
        self.entropy.fill(&mut bits);
        Handle::new(kind, bits)
    }

    /// An audit record of something that happened now.
    pub fn record(&self, tenant_id: TenantId, actor: Actor, origin: &Origin, event: AuditEvent) -> AuditRecord {
        let at = self.now();
        AuditRecord {
            id: EventId::new(at, self.id_entropy()),
            tenant_id,
            at,
            actor,
            source: origin.source.map(|address| address.to_string()),
            request_id: origin.request_id.clone(),
            event,
        }
    }
}

/// Where a request came from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    pub source: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
}

impl Origin {
    /// The place guesses are counted for: an IPv4 address, or the /64 that one IPv6 customer usually has.
    pub fn place(&self) -> Vec<u8> {
        match self.source.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets()[..8].to_vec(),
            None => Vec::new(),
        }
    }

    /// The user agent's name for itself, cut to 200 characters.
    pub fn user_agent_cut(&self) -> Option<String> {
        self.user_agent.as_ref().map(|name| name.chars().filter(|c| !c.is_control()).take(200).collect())
    }
}
