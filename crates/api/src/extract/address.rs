//! Things that an address names by their id.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use domain::ids::{ClientSecretId, FamilyId, InitialAccessTokenId, RegisteredClientId, ResourceId, TrustedIssuerId, UserId};
use domain::keys::ring::Kid;

use crate::error::problem::Problem;

/// An id that has a place in addresses.
pub(crate) trait InAddress: FromStr {
    /// The segment of the route's pattern, without its braces.
    const SEGMENT: &'static str;
}

impl InAddress for UserId {
    const SEGMENT: &'static str = "user";
}
impl InAddress for FamilyId {
    const SEGMENT: &'static str = "session";
}
impl InAddress for RegisteredClientId {
    const SEGMENT: &'static str = "client";
}
impl InAddress for ClientSecretId {
    const SEGMENT: &'static str = "secret";
}
impl InAddress for InitialAccessTokenId {
    const SEGMENT: &'static str = "token";
}
impl InAddress for ResourceId {
    const SEGMENT: &'static str = "resource";
}
impl InAddress for TrustedIssuerId {
    const SEGMENT: &'static str = "issuer";
}
impl InAddress for Kid {
    const SEGMENT: &'static str = "kid";
}

/// The id in the address. A word that is no such id names nothing: 404, as for an unknown one.
pub(crate) struct Named<T>(pub T);

impl<T: InAddress> FromRequest for Named<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get(T::SEGMENT).and_then(|text| text.parse().ok());
        ready(id.map(Self).ok_or_else(Problem::not_found))
    }
}
