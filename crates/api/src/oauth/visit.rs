//! Requests to our own pages, read before a handler sees them: whose browser it is, and that a form is one of ours.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use app::authorize::{AuthorizeDenied, Browser};
use app::{branding, tenants};
use domain::language::Language;
use domain::tenant::Tenant;

use crate::error::page::PageRefused;
use crate::error::problem::Problem;
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::oauth::authorize::{of_ours, refused};
use crate::oauth::{browser, pages as answers};
use crate::state::ApiState;

/// A request to a page of ours.
pub(crate) struct Visit {
    pub(super) state: web::Data<ApiState>,
    pub(super) request: HttpRequest,
    pub(super) tenant: Arc<Tenant>,
    pub(super) browser: Browser,
    pub(super) from: From,
}

impl FromRequest for Visit {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let state = request.app_data::<web::Data<ApiState>>().cloned().ok_or_else(Problem::not_found)?;
            let tenant = tenants::resolve(&state.ctx, request.match_info().get("slug").unwrap_or_default()).await?;
            let browser = browser::of(&request, &tenant, &state.ctx.base_url);
            let from = From::of(&request);
            Ok(Self { state, request, tenant, browser, from })
        })
    }
}

/// A form of one of our pages.
pub(crate) struct Posted {
    pub(super) visit: Visit,
    pub(super) form: Form,
}

impl FromRequest for Posted {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let visit = Visit::from_request(request, payload);
        let form = Form::from_request(request, payload);
        Box::pin(async move {
            let visit = visit.await?;
            match of_ours(&visit.request, &visit.state.ctx.base_url, form.await) {
                Ok(form) => Ok(Self { visit, form }),
                Err(page) => {
                    let answer = answers::refused(&visit.state, &visit.request, &visit.tenant, page?).await;
                    Err(InternalError::from_response("a form that is none of ours", answer).into())
                }
            }
        })
    }
}

impl Posted {
    /// What was sent as `name`; empty where nothing was.
    pub(super) fn field(&self, name: &str) -> &str {
        self.form.optional(name).unwrap_or_default()
    }

    pub(super) fn csrf_token(&self) -> &str {
        self.field("csrf_token")
    }
}

impl Visit {
    /// A path of the issuer's; `rest` begins with a slash.
    pub(super) fn at(&self, rest: &str) -> String {
        format!("{}{rest}", answers::issuer_path(&self.tenant))
    }

    pub(super) fn onward(&self, rest: &str) -> HttpResponse {
        answers::onward(self.at(rest))
    }

    /// Whether there is what needs mails.
    pub(super) fn needs_mail(&self) -> Result<(), Problem> {
        if self.state.ctx.mail.is_on() { Ok(()) } else { Err(Problem::not_found()) }
    }

    /// The language to write to this reader in.
    pub(super) async fn language(&self) -> Result<Language, Problem> {
        let appearance = branding::appearance(&self.state.ctx, self.tenant.id).await?;
        Ok(answers::language(&self.request, &[], appearance.branding.default_language))
    }

    pub(super) async fn refused(&self, page: PageRefused) -> HttpResponse {
        answers::refused(&self.state, &self.request, &self.tenant, page).await
    }

    pub(super) async fn denied(&self, denied: AuthorizeDenied) -> Result<HttpResponse, Problem> {
        refused(&self.state, &self.request, &self.tenant, denied).await
    }

    pub(super) async fn page(&self, status: StatusCode, page: &impl pages::Page) -> HttpResponse {
        answers::shown(&self.state, &self.request, &self.tenant, status, &[], page).await
    }
}
